import Glibc

/// The process's descriptors.
enum Descriptors {
  /// How many are open now.
  static func count() -> Int {
    guard let directory = unsafe opendir("/proc/self/fd") else { return -1 }
    var entries = 0
    while unsafe readdir(directory) != nil { entries += 1 }
    unsafe closedir(directory)
    // Without `.`, `..` and the directory's own.
    return entries - 3
  }

  /// The files of a directory.
  static func names(in directory: String) -> [String] {
    guard let stream = unsafe opendir(directory) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      // A name ends in NUL within its field.
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  /// Up to 64 KiB of a file.
  static func contents(of path: String) -> [UInt8] {
    // The path is read during the call alone.
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return [] }
    defer { close(number) }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    // At most as many bytes as the array has are written.
    let count = unsafe read(number, &bytes, bytes.count)
    return Array(bytes.prefix(max(0, count)))
  }

  /// Lets the process open no more, until `relieve`.
  static func exhaust() {
    let lowest = dup(0)
    guard lowest >= 0 else { return }
    close(lowest)
    setLimit(rlim_t(lowest))
  }

  /// Lets it open as many as ever.
  static func relieve() { setLimit(most) }

  private static let most: rlim_t = {
    var limit = rlimit()
    // The structure is the call's to fill.
    _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return limit.rlim_max
  }()

  private static func setLimit(_ soft: rlim_t) {
    var limit = rlimit(rlim_cur: soft, rlim_max: most)
    // As above.
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
