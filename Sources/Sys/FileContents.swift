import Glibc

/// A regular file, read whole and once, so that everything said about it is about the same content. Its bytes may be a secret:
/// they are wiped when the last holder lets go.
@safe
package final class FileContents {
  /// Why a file could not be taken.
  package enum Failure: Error, Equatable, Sendable {
    /// The system refuses: the errno.
    case unreadable(Int32)
    /// It is a directory, a FIFO, a device or a socket: `kind` says which.
    case notRegular(kind: String)
    /// It has more bytes than it may.
    case tooLarge
  }

  /// Who may read and write it: the last nine bits of stat(2)'s mode.
  package let mode: UInt32
  /// When it was last written, in seconds since 1970-01-01T00:00:00Z.
  package let modified: Int64
  // Owned by this object alone: allocated in `init`, wiped and freed in `deinit`; the first `count` bytes are initialized.
  private let storage: UnsafeMutablePointer<UInt8>
  package let count: Int

  /// Reads all of `path`, which waits for nobody: what is no regular file is refused at once.
  ///
  /// - Parameter bytesMax: the most bytes it may have.
  package init(path: String, bytesMax: Int) throws(Failure) {
    // Without O_NONBLOCK a FIFO would be waited for until somebody writes to it.
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    if number < 0 { throw .unreadable(errno) }
    let descriptor = FileDescriptor(owning: number)
    var status = stat()
    // The descriptor is open, and `status` is filled where this answers 0.
    if unsafe fstat(descriptor.number, &status) != 0 { throw .unreadable(errno) }
    if let kind = Self.kind(ofSpecial: status.st_mode) { throw .notRegular(kind: kind) }
    if status.st_size > bytesMax { throw .tooLarge }
    // One byte more than it has now tells whether it grows meanwhile.
    let capacity = Int(status.st_size) + 1
    let storage = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    var count = 0
    var failure: Failure?
    while failure == nil {
      // At most what is left of the storage is written.
      let result = unsafe read(descriptor.number, storage + count, capacity - count)
      let code = errno
      if result == 0 { break }
      if result > 0 {
        count += result
        if count == capacity { failure = .unreadable(EAGAIN) }
      } else if code != EINTR {
        failure = .unreadable(code)
      }
    }
    if let failure {
      unsafe explicit_bzero(storage, count)
      unsafe storage.deallocate()
      throw failure
    }
    unsafe self.storage = unsafe storage
    self.count = count
    mode = status.st_mode & 0o777
    modified = Int64(status.st_mtim.tv_sec)
  }

  deinit {
    unsafe explicit_bzero(storage, count)
    unsafe storage.deallocate()
  }

  /// What stat(2)'s mode calls a file that is no regular one; nil for a regular one.
  private static func kind(ofSpecial mode: mode_t) -> String? {
    switch mode & S_IFMT {
    case S_IFREG: nil
    case S_IFDIR: "a directory"
    case S_IFIFO: "a FIFO"
    case S_IFSOCK: "a socket"
    case S_IFCHR, S_IFBLK: "a device"
    default: "no regular file"
    }
  }

  /// Shows the bytes, which change no more.
  package func withBytes<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // The storage is initialized up to `count`, and lives as long as this object.
    let bytes = unsafe UnsafeBufferPointer(start: storage, count: count)
    return try body(unsafe Span(_unsafeElements: bytes))
  }
}
