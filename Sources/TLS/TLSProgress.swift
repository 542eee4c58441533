/// What came of one step of a TLS session: waiting is a value, not an error.
///
/// There is no `wantsWrite`: a session writes to an `ByteBuffer`, and ends where that is full.
package enum TLSProgress: Equatable, Sendable {
  /// The bytes read or written; 0 for a finished handshake.
  case done(Int)
  /// Nothing more can be done until the descriptor is readable.
  case wantsRead
  /// The turn's bytes are read: the others come first.
  case budgetSpent
  /// The peer sent close_notify or ended the stream.
  case closed
  /// The session is over; if there is an alert to send, it is in the send buffer.
  case failed(TLSFailure)
}
