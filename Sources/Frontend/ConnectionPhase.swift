import Sys

/// Where a connection stands. `Connection.takeStep` has one function for each, named after it; what it waits for, how long, and
/// what the end of that time means follow from the phase alone.
///
/// ```
/// readingProxyHeader ─► handshaking ─► readingHead ─► [holding] ─► writingResponse ─┬─► readingHead  (keep-alive)
///       (optional)         (TLS)           │        no active node yet              ├─► discardingBody ─► readingHead
///                                          │                                        │
///       └──────────────────────────────────┴────────────────────────────────────────┴─► lingering ─► closed
/// ```
enum ConnectionPhase {
  /// A PROXY header is due before anything else.
  case readingProxyHeader
  /// The TLS handshake is under way.
  case handshaking
  case readingHead(HeadProgress)
  /// A whole head is here, and its answer is not known yet. A client that has finished its side waits for it all the same.
  case holding(peerHasFinished: Bool)
  /// Answers are on their way; what comes after them is decided.
  case writingResponse(then: AfterResponse)
  /// The answer is out, its request's body is still coming, and is dropped.
  case discardingBody
  /// Nothing more is said; what the client still sends is dropped, so that its last answer is not lost to a reset.
  case lingering(CloseReason, finIsSent: Bool)
  case closed(CloseReason)
}

/// How much of a request's head is here.
enum HeadProgress {
  /// Nothing: the connection's first request is due.
  case due
  /// Nothing, as a read has said: the connection is kept for another request.
  case idle
  /// A part of it, and more is due.
  case begun
}

/// What follows once every gathered byte is sent.
enum AfterResponse {
  case readHead
  case discardBody
  /// The client has sent all it had to: close at once.
  case close(CloseReason)
  /// The client may still be sending: linger.
  case linger(CloseReason)
}

/// What a phase's function says when it returns.
enum Step {
  /// The phase changed, or there is more to do: go on.
  case again
  /// Nothing to do before the descriptor is ready, or the deadline is over.
  case wait
  /// There is more to do, but the others come first.
  case yield
  /// The connection is gone.
  case closed
}

extension ConnectionPhase {
  /// What its descriptor is watched for, while nothing is unsent.
  var interest: Interest {
    switch self {
    // A part of a header stays in the kernel, where only the hangup tells that nothing more will come.
    case .readingProxyHeader: [.read, .hangup]
    case .handshaking, .readingHead, .discardingBody, .lingering: .read
    case .holding(let peerHasFinished): peerHasFinished ? [] : .hangup
    case .writingResponse: .write
    case .closed: []
    }
  }

  /// How long it may last.
  func timeout(_ limits: FrontendLimits, isDraining: Bool) -> Timeout {
    switch self {
    case .readingProxyHeader: limits.proxyHeaderTimeout
    case .handshaking: limits.handshakeTimeout
    case .readingHead(.begun): limits.headTimeout
    case .readingHead where isDraining: limits.drainSilenceTimeout
    case .readingHead(.due): limits.headTimeout
    case .readingHead(.idle): limits.keepAliveTimeout
    case .holding: limits.holdTimeout
    case .writingResponse: limits.writeTimeout
    case .discardingBody: limits.discardTimeout
    case .lingering, .closed: limits.lingerTimeout
    }
  }

  /// The list of the table that its connections are in.
  @inline(__always)
  var list: SlotLists.List? {
    switch self {
    case .readingHead(.idle): .idle
    case .holding: .held
    default: nil
    }
  }

  /// The connection's reason where its descriptor breaks in this phase.
  var reasonWhenBroken: CloseReason {
    switch self {
    case .readingProxyHeader, .handshaking, .readingHead(.due): .noData
    case .holding: .abandonedHold
    case .lingering(let reason, _), .closed(let reason): reason
    case .readingHead, .writingResponse, .discardingBody: .reset
    }
  }
}
