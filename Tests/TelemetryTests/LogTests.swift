import Glibc
import Telemetry
import Testing

struct LogTests {
  @Test(arguments: [
    ("plain", "v=plain"), ("", "v=\"\""), ("two words", "v=\"two words\""),
    ("a\"b\\c", "v=\"a\\\"b\\\\c\""), ("line\nbreak\u{1B}[31m", "v=\"line\\x0abreak\\x1b[31m\""),
    ("k=v", "v=\"k=v\""), ("é", "v=\"é\""), ("\u{7F}", "v=\"\\x7f\""),
  ])
  func aValueCannotForgeALine(value: String, written: String) {
    var line = LogLine(level: .info, message: "m")
    line.append("v", value)
    #expect(String(decoding: line.bytes, as: UTF8.self) == "level=info msg=m " + written)
  }

  /// Reads a pipe to its end.
  private static func readAll(_ number: Int32) -> String {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
      // The array has the room that is said.
      let count = unsafe read(number, &part, part.count)
      if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += part.prefix(count)
    }
  }

  private static func makePipe() throws -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [0, 0]
    // pipe(2) fills exactly the two.
    try #require(unsafe pipe(&ends) == 0)
    return (ends[0], ends[1])
  }

  @Test func linesComeOutWholeAndInOrder() throws {
    let ends = try Self.makePipe()
    let writer = LogWriter(descriptor: ends.writing, style: .journal)
    let log = Log.logfmt(writer, level: .info)
    log.warning("first", metadata: ["b": "2", "a": "1"])
    writer.start()
    log.debug("below the level")
    writer.isEnabled = false
    log.error("while it is disabled")
    writer.isEnabled = true
    log.info("second")
    writer.stop()
    close(ends.writing)
    let text = Self.readAll(ends.reading)
    close(ends.reading)
    #expect(
      text == "<4>level=warning msg=first a=1 b=2\n<6>level=info msg=second\n")
  }

  @Test func aPlainLineBeginsWithTheTime() throws {
    let ends = try Self.makePipe()
    let writer = LogWriter(descriptor: ends.writing, style: .plain)
    writer.start()
    Log.logfmt(writer, level: .info).info("x")
    writer.stop()
    close(ends.writing)
    let text = Self.readAll(ends.reading)
    close(ends.reading)
    #expect(
      text.wholeMatch(of: /ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info msg=x\n/) != nil)
  }

  @Test func aFullPipeCostsLinesAndNoTime() throws {
    let ends = try Self.makePipe()
    let writer = LogWriter(descriptor: ends.writing, style: .journal)
    // Nobody reads, and nobody writes yet: the queue fills, and what is more is dropped and counted.
    for _ in 0..<LogWriter.linesMax + 10 { writer.write(LogLine(level: .info, message: "x")) }
    #expect(writer.droppedLines == 10)
    close(ends.writing)
    close(ends.reading)
  }

  @Test func aLineIsCutWhereAPipeWouldSplitIt() throws {
    let ends = try Self.makePipe()
    let writer = LogWriter(descriptor: ends.writing, style: .journal)
    writer.start()
    var line = LogLine(level: .info, message: "m")
    line.append("long", String(repeating: "x", count: 10_000))
    writer.write(line)
    writer.stop()
    close(ends.writing)
    let text = Self.readAll(ends.reading)
    close(ends.reading)
    #expect(text.utf8.count <= 4096 && text.hasSuffix("x\n"))
  }

  @Test func journalIsKnownByDeviceAndInode() {
    #expect(LogWriter.styleOfStandardError(journalStream: nil) == .plain)
    #expect(LogWriter.styleOfStandardError(journalStream: "0:0") == .plain)
    var status = stat()
    // The call fills the structure it is given.
    #expect(unsafe fstat(STDERR_FILENO, &status) == 0)
    let name = "\(status.st_dev):\(status.st_ino)"
    #expect(LogWriter.styleOfStandardError(journalStream: name) == .journal)
  }

  @Test(arguments: [
    (0, "1970-01-01T00:00:00Z"), (1_795_000_000, "2026-11-18T11:06:40Z"),
    (951_782_400, "2000-02-29T00:00:00Z"),
  ])
  func timesAreWrittenInUTC(seconds: Int, text: String) {
    #expect(timestamp(secondsSinceEpoch: seconds) == text)
  }
}
