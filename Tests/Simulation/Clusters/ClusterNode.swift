@testable import Discovery
import Redirect

/// A Vault node as it really is, and as Consul has it.
struct ClusterNode {
  enum State: Int {
    case active = 200
    case standby = 429
    case performanceStandby = 473
    case sealed = 503
    case stray = 474
  }

  /// How it can be reached.
  enum Reach {
    case well, refusing, hung, untrusted
    /// Something else lives there, and says this with 200.
    case impostor(String)
    /// It is now the one and now the other that is not active, as behind an address of several.
    case wavering
  }

  let name: String
  let isAllowed: Bool
  /// Where it is to be found now.
  var address: String
  var state = State.standby
  var reach = Reach.well
  var answers = 0
  /// Of one way and back, in milliseconds.
  var latency: Int64 = 2
  /// Since when it is active, in seconds of some clock.
  var activeSince = 0

  // As Consul has it.
  var isRegistered = true
  var tag = "standby"
  var isForeign = false
  var serfFails = false
  var checkFails = false
  var isMaintained = false
  var modifyIndex = 1

  init(name: String, isAllowed: Bool, address: String) {
    self.name = name
    self.isAllowed = isAllowed
    self.address = address
  }

  /// It says that it is active, to whoever asks.
  var affirms: Bool {
    if case .well = reach { state == .active } else { false }
  }

  /// What `/v1/sys/health` or `/v1/sys/leader` gets; nil for silence.
  mutating func answer(_ path: String) -> Result<OutboundAnswer, OutboundFailure>? {
    answers += 1
    let state = if case .wavering = reach { Self.waverings[answers % 3] } else { state }
    return switch reach {
    case .refusing: .failure(OutboundFailure(kind: .refused, reason: "refused"))
    case .untrusted: .failure(OutboundFailure(kind: .tls, reason: "self-signed"))
    case .hung: nil
    case .impostor(let body): .success(Self.answer(200, body))
    case .well where path.hasSuffix("leader"), .wavering where path.hasSuffix("leader"):
      .success(
        Self.answer(
          state == .sealed ? 503 : 200,
          #"{"ha_enabled":true,"is_self":\#(state == .active),"active_time":"\#(time)"}"#))
    case .well, .wavering:
      .success(
        Self.answer(
          state.rawValue,
          #"{"initialized":true,"sealed":\#(state == .sealed),"standby":\#(state != .active)}"#))
    }
  }

  private static let waverings = [State.standby, .sealed, .performanceStandby]

  private var time: String {
    let (minute, second) = (activeSince / 60 % 60, activeSince % 60)
    return "2026-11-21T\(10 + activeSince / 3600 % 10):\(minute < 10 ? "0" : "")\(minute):"
      + "\(second < 10 ? "0" : "")\(second)Z"
  }

  static func answer(_ status: Int, _ body: String) -> OutboundAnswer {
    var answer = OutboundAnswer(status: status)
    answer.body = Array(body.utf8)
    return answer
  }

  /// Its entry in Consul's answer.
  var entry: String {
    var checks: [String] = []
    func check(_ id: String, _ fails: Bool) {
      checks.append(
        #"{"CheckID":"\#(id)","Status":"\#(fails ? "critical" : "passing")","ServiceID":""}"#)
    }
    check("serfHealth", serfFails)
    check("vault:\(name):8200:vault-sealed-check", checkFails)
    if isMaintained { check("_node_maintenance", true) }
    let tags = [tag, isForeign ? "other" : "mine"].map { "\"\($0)\"" }.joined(separator: ",")
    return #"{"Node":{"Node":"\#(name)","Address":"10.0.0.1"},"#
      + #""Service":{"ID":"vault:\#(name)","Address":"","Port":8200,"Tags":[\#(tags)],"#
      + #""ModifyIndex":\#(modifyIndex)},"Checks":[\#(checks.joined(separator: ","))]}"#
  }
}
