import Glibc

/// Runs `body` with the path of a file that holds `text` and is gone afterwards.
func withTemporaryFile(_ text: String, _ body: (String) throws -> Void) throws {
  let path = "/tmp/discovery-tests-\(getpid())-\(UInt64.random(in: 0..<(1 << 60)))"
  try write(text, to: path)
  defer { _ = unsafe unlink(path) }
  try body(path)
}

struct CannotWrite: Error {
  let path: String
}

func write(_ text: String, to path: String) throws {
  guard let file = unsafe fopen(path, "w") else { throw CannotWrite(path: path) }
  unsafe fputs(text, file)
  unsafe fclose(file)
}
