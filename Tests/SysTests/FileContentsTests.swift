import Glibc
import Sys
import Testing

struct FileContentsTests {
  /// A new directory, which goes with this object.
  final class Folder {
    let path: String

    init() throws {
      var template = Array("/tmp/file-contents-XXXXXX".utf8CString)
      // mkdtemp(3) changes the last six characters in place.
      try #require(unsafe mkdtemp(&template) != nil)
      path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
      let path = "\(path)/\(name)"
      let number = unsafe open(path, O_WRONLY | O_CREAT, 0o640)
      defer { close(number) }
      // The array is readable for the length of the call.
      try #require(unsafe write(number, bytes, bytes.count) == bytes.count)
      return path
    }

    deinit {
      for name in ["file", "fifo", "link"] { unsafe unlink("\(path)/\(name)") }
      unsafe rmdir(path)
    }
  }

  private func failure(_ path: String, bytesMax: Int = 100) -> FileContents.Failure? {
    do {
      _ = try FileContents(path: path, bytesMax: bytesMax)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: [0, 1, 99, 100])
  func aRegularFileIsReadWhole(count: Int) throws {
    let folder = try Folder()
    let bytes = (0..<count).map { UInt8($0) }
    let contents = try FileContents(path: try folder.file("file", bytes), bytesMax: 100)
    #expect(contents.withBytes { span in span.indices.map { span[$0] } } == bytes)
    #expect(contents.count == count && contents.mode == 0o640)
  }

  @Test func aLargerOneIsRefused() throws {
    let folder = try Folder()
    let path = try folder.file("file", [UInt8](repeating: 1, count: 101))
    #expect(failure(path) == .tooLarge)
    #expect(failure(path, bytesMax: 101) == nil)
  }

  @Test func whatIsNoFileIsRefusedAtOnce() throws {
    let folder = try Folder()
    let fifo = "\(folder.path)/fifo"
    try #require(unsafe mkfifo(fifo, 0o600) == 0)
    #expect(failure(fifo) == .notRegular(kind: "a FIFO"))
    #expect(failure(folder.path) == .notRegular(kind: "a directory"))
    #expect(failure("/dev/zero") == .notRegular(kind: "a device"))
    #expect(failure("\(folder.path)/absent") == .unreadable(ENOENT))
  }

  @Test func aLinkLeadsToWhatItNames() throws {
    let folder = try Folder()
    let path = try folder.file("file", [1, 2, 3])
    try #require(unsafe symlink(path, "\(folder.path)/link") == 0)
    #expect(failure("\(folder.path)/link") == nil)
  }
}
