import Glibc
import Telemetry
import Testing

struct LogTests {
  @Test(arguments: [
    ("plain", "v=plain"), ("", "v=\"\""), ("two words", "v=\"two words\""),
    ("a\"b\\c", "v=\"a\\\"b\\\\c\""), ("line\nbreak\u{1B}[31m", "v=\"line\\x0abreak\\x1b[31m\""),
    ("k=v", "v=\"k=v\""), ("é", "v=\"é\""), ("\u{7F}", "v=\"\\x7f\""),
    ("a\u{9B}31m", "v=\"a\\xc2\\x9b31m\""), ("a\u{202E}b", "v=\"a\\xe2\\x80\\xaeb\""),
    ("a\u{200B}b\u{2028}", "v=\"a\\xe2\\x80\\x8bb\\xe2\\x80\\xa8\""),
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
    let writer = try LogWriter(descriptor: ends.writing, style: .journal)
    let log = Log.logfmt(writer, level: .info)
    log.warning("first", metadata: ["b": "2", "a": "1"])
    try writer.start()
    log.debug("below the level")
    writer.isEnabled = false
    log.error("while it is disabled")
    writer.isEnabled = true
    log.info("second")
    writer.stop(within: .seconds(60))
    close(ends.writing)
    let text = Self.readAll(ends.reading)
    close(ends.reading)
    #expect(
      text == "<4>level=warning msg=first a=1 b=2\n<6>level=info msg=second\n")
  }

  @Test func aPlainLineBeginsWithTheTime() throws {
    let ends = try Self.makePipe()
    let writer = try LogWriter(descriptor: ends.writing, style: .plain)
    try writer.start()
    Log.logfmt(writer, level: .info).info("x")
    writer.stop(within: .seconds(60))
    close(ends.writing)
    let text = Self.readAll(ends.reading)
    close(ends.reading)
    #expect(
      text.wholeMatch(of: /ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info msg=x\n/) != nil)
  }

  /// Fills a pipe that nobody reads, and returns how much went in.
  private static func fill(_ number: Int32) -> Int {
    let flags = fcntl(number, F_GETFL)
    _ = fcntl(number, F_SETFL, flags | O_NONBLOCK)
    defer { _ = fcntl(number, F_SETFL, flags) }
    let block = [UInt8](repeating: UInt8(ascii: "."), count: 4096)
    var total = 0
    while true {
      // The array is readable for the length of the call.
      let count = unsafe Glibc.write(number, block, block.count)
      if count <= 0 { return total }
      total += count
    }
  }

  @Test func aFullPipeCostsLinesAndKeepsNobody() throws {
    let ends = try Self.makePipe()
    let filled = Self.fill(ends.writing)
    let writer = try LogWriter(descriptor: ends.writing, style: .journal)
    try writer.start()
    let count = 3 * LogWriter.linesMax
    for _ in 0..<count { writer.write(LogLine(level: .info, message: "x")) }
    // What finds the queue full is dropped at once, and what waits in it when the end comes.
    #expect(writer.droppedLines >= UInt64(count - 2 * LogWriter.linesMax))
    writer.stop(within: .milliseconds(50))
    // Nobody was kept, not even until the thread had given up.
    let limit = ContinuousClock.now + .seconds(60)
    while writer.droppedLines < count, ContinuousClock.now < limit { sched_yield() }
    #expect(writer.droppedLines == UInt64(count))
    close(ends.writing)
    #expect(Self.readAll(ends.reading).utf8.count == filled)
    close(ends.reading)
  }

  @Test func linesGoOnOnceThePipeIsRead() throws {
    let ends = try Self.makePipe()
    let filled = Self.fill(ends.writing)
    let writer = try LogWriter(descriptor: ends.writing, style: .journal)
    try writer.start()
    writer.write(LogLine(level: .info, message: "first"))
    writer.write(LogLine(level: .info, message: "second"))
    var part = [UInt8](repeating: 0, count: filled)
    // The array has the room that is said.
    #expect(unsafe read(ends.reading, &part, filled) == filled)
    writer.stop(within: .seconds(60))
    close(ends.writing)
    #expect(
      Self.readAll(ends.reading) == "<6>level=info msg=first\n<6>level=info msg=second\n")
    #expect(writer.droppedLines == 0)
    close(ends.reading)
  }

  @Test func whatNobodyWillReadIsCounted() throws {
    signal(SIGPIPE, SIG_IGN)
    let ends = try Self.makePipe()
    close(ends.reading)
    let writer = try LogWriter(descriptor: ends.writing, style: .journal)
    for _ in 0..<10 { writer.write(LogLine(level: .info, message: "x")) }
    try writer.start()
    writer.stop(within: .seconds(60))
    #expect(writer.droppedLines == 10)
    close(ends.writing)
  }

  @Test(arguments: [4096, 10_000])
  func aLineHasAnEndAndClosesItsQuotes(length: Int) {
    for value in [
      String(repeating: "x", count: length), String(repeating: "\u{1}", count: length),
      String(repeating: "é", count: length), String(repeating: "\"", count: length),
    ] {
      var line = LogLine(level: .info, message: "m")
      line.append("first", "1")
      line.append("long", value)
      line.append("after", "there is no room for this one")
      let text = String(decoding: line.bytes, as: UTF8.self)
      #expect(line.bytes.count <= LogLine.bytesMax && line.bytes.count > LogLine.bytesMax - 20)
      #expect(text.hasPrefix("level=info msg=m first=1 long=\"") && text.hasSuffix("...\""))
      #expect(!text.contains("\u{FFFD}"))
    }
  }

  @Test func aValueIsClippedWhereItIsTold() {
    var line = LogLine(level: .info, message: "m")
    line.append("a", "0123456789", clip: 8)
    line.append("b", "01234567", clip: 8)
    line.append("c", "\u{1}\u{1}\u{1}", clip: 8)
    line.append("d", "", clip: 8)
    let text = String(decoding: line.bytes, as: UTF8.self)
    #expect(
      text == "level=info msg=m a=\"01234567...\" b=01234567 c=\"\\x01\\x01...\" d=\"\"")
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
