import TLS

/// What a read brought, whatever protects the bytes.
enum ReadResult {
  case bytes
  /// Nothing is there: the poller will tell.
  case wouldBlock
  /// The turn's budget is spent: the others come first.
  case budgetSpent
  case endOfStream
  case failed(CloseReason, TLSFailure?)
}

/// What became of the bytes to be sent.
enum SendResult {
  /// All are with the kernel.
  case sent
  /// The kernel takes no more now.
  case blocked
  /// Nobody is there to send to.
  case broken
}

extension CloseReason {
  /// What a failed session ends its connection with.
  init(_ failure: TLSFailure) {
    switch failure.reason {
    case .connectionReset: self = .reset
    case .messageFlood: self = .tlsFlood
    case .sendQueueFull: self = .overflow
    default: self = .tlsError
    }
  }
}
