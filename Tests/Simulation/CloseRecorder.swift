import Logging
import Synchronization

/// What the frontend's log says of the connections that it closed: the one account of each that any
/// operator has.
final class CloseRecorder: Sendable {
  struct Close {
    var connection: UInt64 = 0
    var reason = ""
    var client = ""
    var requests = 0
  }

  private let closes = Mutex<[Close]>([])

  /// What was closed since this was asked last.
  func take() -> [Close] {
    closes.withLock { closes in
      if closes.isEmpty { return [] }
      defer { closes.removeAll(keepingCapacity: true) }
      return closes
    }
  }

  fileprivate func add(_ close: Close) { closes.withLock { $0.append(close) } }

  var log: Logger {
    Logger(label: "simulation") { [self] _ in RecordingHandler(recorder: self) }
  }
}

/// Takes the lines that tell of a close, and no others.
private struct RecordingHandler: LogHandler {
  let recorder: CloseRecorder
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.debug

  init(recorder: CloseRecorder) { self.recorder = recorder }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    guard event.message.description == "connection closed", let fields = event.metadata else {
      return
    }
    var close = CloseRecorder.Close()
    for (key, value) in fields {
      switch key {
      case "conn": close.connection = UInt64(value.description) ?? 0
      case "reason": close.reason = value.description
      case "client": close.client = value.description
      case "requests": close.requests = Int(value.description) ?? 0
      default: break
      }
    }
    recorder.add(close)
  }
}
