/// Where a connection stands. `Connection.advance` has one function for each, named after it.
///
/// ```
/// readingProxyHeader ─► handshaking ─► readingHead ─► [holding] ─► writingResponse ─┬─► readingHead  (keep-alive)
///       (optional)         (TLS)           │        no active node yet              ├─► discardingBody ─► readingHead
///                                          │                                        │
///       └──────────────────────────────────┴────────────────────────────────────────┴─► lingering ─► closed
/// ```
enum ConnectionPhase: Equatable {
  /// A PROXY header is due before anything else.
  case readingProxyHeader
  /// The TLS handshake is under way.
  case handshaking
  /// A request's head is due, or a part of it is here.
  case readingHead
  /// A whole head is here, and its answer is not known yet.
  case holding
  /// Answers are on their way; what comes after them is decided.
  case writingResponse(then: AfterResponse)
  /// The answer is out, its request's body is still coming, and is dropped.
  case discardingBody
  /// Our side is closed; what the client still sends is dropped, so that its last answer is not lost to a reset.
  case lingering(CloseReason)
  case closed(CloseReason)
}

/// What follows once every gathered byte is sent.
enum AfterResponse: Equatable {
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
}
