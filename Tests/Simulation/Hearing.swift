/// What a client has asked and what it heard: it may only hear answers to its own requests, in
/// order, each as the request deserves.
struct Hearing {
  let serial: Int
  private(set) var expectations: [Expectation] = []
  /// How many of them were encrypted, sent, and answered.
  private(set) var sealed = 0
  private(set) var sent = 0
  private(set) var answered = 0
  /// No answer may come for one from here on.
  private(set) var answersMax = Int.max
  /// No answer need come for one from here on.
  private var owedMax = Int.max
  /// The last answer said that nothing follows.
  private(set) var isClosed = false
  /// The turn up to which more of it was on its way than one turn can read.
  var busyUntil = 0
  /// It does not always listen.
  var isDeaf = false
  private var reader = AnswerReader()
  /// Answers that a responder gave: errors that the frontend makes are no requests.
  private(set) var served = 0

  init(serial: Int) {
    self.serial = serial
  }

  /// Requests whose head was sent whole and whose answer may still come.
  var owed: Int { isClosed ? 0 : max(0, min(sent, answersMax, owedMax) - answered) }
  /// Nothing was said yet that ends the connection.
  var expectsMore: Bool { !isClosed && answersMax == .max }
  /// And that would have been heard.
  var hasHeardNoEnd: Bool { expectsMore && !isDeaf }
  var isInsideAnswer: Bool { reader.isInside }

  /// The server has closed: whatever is sent from now on, it never sees.
  mutating func noteClosed() { owedMax = min(owedMax, sent) }

  mutating func expect(_ expectation: Expectation, isLast: Bool) {
    expectations.append(expectation)
    if isLast { answersMax = min(answersMax, expectations.count) }
  }

  /// - Parameter wireEnd: tells where what ends there in plain text ends on the wire.
  mutating func noteSealed(upTo plainEnd: Int, wireEnd: (Int) -> Int) {
    while sealed < expectations.count, expectations[sealed].headEnd <= plainEnd {
      expectations[sealed].wireEnd = wireEnd(expectations[sealed].headEnd)
      sealed += 1
    }
  }

  /// - Parameter tooLate: the server has decided already to end the connection.
  mutating func noteSent(upTo wireEnd: Int, generation: Int, tooLate: Bool) {
    while sent < sealed, let end = expectations[sent].wireEnd, end <= wireEnd {
      expectations[sent].generation = generation
      expectations[sent].cameTooLate = tooLate
      sent += 1
    }
  }

  // MARK: Answers

  mutating func take(_ bytes: ArraySlice<UInt8>, _ world: World) throws(Violation) {
    if isClosed { throw foreign("bytes behind a last answer", bytes) }
    reader.append(bytes)
    while reader.isInside {
      let expected = answered < expectations.count ? expectations[answered] : nil
      guard let answer = try reader.next(isHead: expected?.isHead ?? false) else { return }
      try check(answer, expected, world)
      answered += 1
      if answer.asksClose {
        isClosed = true
        if reader.isInside { throw foreign("bytes behind a last answer", bytes) }
      }
    }
  }

  /// The only thing that is certain for one who sent noise: no answer names another's target.
  func lookForOthers(_ bytes: ArraySlice<UInt8>) throws(Violation) {
    let own = Array("\(serial)-".utf8)
    let mark = Array("/v1/c".utf8)
    var index = bytes.startIndex
    while index + mark.count + own.count <= bytes.endIndex {
      defer { index += 1 }
      guard bytes[index] == mark[0], bytes[index...].starts(with: mark) else { continue }
      let number = bytes[(index + mark.count)...]
      if !number.starts(with: own) { throw foreign("another's target", number) }
    }
  }

  private func foreign(_ what: String, _ bytes: ArraySlice<UInt8>) -> Violation {
    Violation(
      "a client receives its own answers",
      "c\(serial), \(answered) answered: \(what): "
        + String(decoding: bytes.prefix(300), as: UTF8.self))
  }

  private mutating func check(
    _ answer: Answer, _ expected: Expectation?, _ world: World
  ) throws(Violation) {
    func wrong(_ what: String) -> Violation {
      Violation(
        "a client receives its own answers",
        "c\(serial), answer \(answered) of \(sent) sent: \(what); got \(answer.status) "
          + String(decoding: (answer.location ?? []).prefix(100), as: UTF8.self) + "; deserved "
          + "\(expected.map { "\($0.outcome) " + String(decoding: $0.target.prefix(80), as: UTF8.self) } ?? "-")"
      )
    }
    if answer.status == 408 {
      guard answer.asksClose else { throw wrong("a late head must close") }
      let mayBeLate = world.turns <= busyUntil || isDeaf || isLong(expected, world)
      let came = expected.map { $0.generation != nil && !$0.cameTooLate } ?? false
      guard !came || mayBeLate else {
        throw wrong("408, and the head was there")
      }
      return
    }
    guard let expected, answered < answersMax else { throw wrong("an answer nobody asked for") }
    if case .refused(let status) = expected.outcome {
      guard answer.status == status, answer.asksClose else { throw wrong("another error") }
      return
    }
    guard let generation = expected.generation else { throw wrong("answered before it was sent") }
    guard judge(answer, expected, world.nodes[generation...], world) else {
      throw wrong("a wrong answer")
    }
    served += 1
    let most = world.settings.requestsPerConnectionMax
    let mustClose = !expected.keepsAlive || (most > 0 && served >= most)
    guard answer.asksClose == mustClose || (answer.asksClose && world.isDraining) else {
      throw wrong(mustClose ? "it must close" : "it must not close")
    }
  }

  /// A small window takes a long head in pieces, at the pace of the kernel's own timers.
  private func isLong(_ expected: Expectation?, _ world: World) -> Bool {
    guard let expected, let window = world.settings.receiveBytes else { return false }
    return expected.headEnd - expected.start > Int(window) / 4
  }

  /// Whether the answer is the one that a node of `nodes`, or the lack of one, makes.
  private func judge(
    _ answer: Answer, _ expected: Expectation, _ nodes: ArraySlice<UInt8?>, _ world: World
  ) -> Bool {
    let hasNode = nodes.contains { $0 != nil }
    let hasNone = nodes.contains(nil)
    switch (expected.outcome, answer.status) {
    case (.redirect, 307): return redirects(answer, expected, nodes)
    case (.redirect, 503): return hasNone && answer.location == nil
    case (.loop(let node), 307):
      return redirects(answer, expected, nodes.filter { $0 != node }[...])
    case (.loop, 503): return hasNone
    case (.loop(let node), 508): return nodes.contains(node)
    case (.health, 200): return hasNode || world.settings.healthGraceSeconds > 0
    case (.health, 503): return hasNone
    case (.healthRefused, 405): return true
    case (.echo, 200): return expected.isHead || answer.body == world.echo(expected.target)
    default: return false
    }
  }

  private func redirects(
    _ answer: Answer, _ expected: Expectation, _ nodes: ArraySlice<UInt8?>
  ) -> Bool {
    guard let location = answer.location, answer.body.isEmpty else { return false }
    return nodes.contains { node in
      guard let node else { return false }
      let origin = "https://node-\(node).example:8200".utf8
      return location.count == origin.count + expected.target.count
        && location.starts(with: origin)
        && location.suffix(expected.target.count)
          .elementsEqual(expected.target)
    }
  }
}
