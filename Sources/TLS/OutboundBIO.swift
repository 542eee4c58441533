import COpenSSL
import Sys

/// An OpenSSL sink that appends to an `OutboundBuffer`, so that a flight, tickets, a response and
/// close_notify leave in one `send`.
enum OutboundBIO {
  /// The table of functions, made once in the life of the process; nil where OpenSSL had no memory
  /// for it.
  ///
  /// Written here and nowhere else, then only read by OpenSSL, from any thread.
  nonisolated(unsafe) private static let method: OpaquePointer? = {
    let type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK
    // The callbacks are C functions that capture nothing; the method is never freed.
    guard let method = unsafe BIO_meth_new(type, "outbound buffer") else { return nil }
    unsafe BIO_meth_set_write_ex(method, append)
    unsafe BIO_meth_set_ctrl(method, control)
    return unsafe method
  }()

  /// A new sink that belongs to the caller, or nil where OpenSSL has no memory left.
  ///
  /// It does not retain `buffer`: the worker that owns both frees its sessions, and so every sink,
  /// first.
  static func make(_ buffer: OutboundBuffer) -> OpaquePointer? {
    guard let method = unsafe method, let bio = unsafe BIO_new(method) else { return nil }
    unsafe BIO_set_data(bio, Unmanaged.passUnretained(buffer).toOpaque())
    return unsafe bio
  }

  private static let append:
    @convention(c) (
      OpaquePointer?, UnsafePointer<CChar>?, Int, UnsafeMutablePointer<Int>?
    ) -> Int32 =
      { bio, bytes, count, written in
        guard let data = unsafe BIO_get_data(bio), let bytes = unsafe bytes else { return 0 }
        // `make` put the buffer there, its worker keeps it alive, and OpenSSL passes `count`
        // readable bytes.
        unsafe Unmanaged<OutboundBuffer>.fromOpaque(data)._withUnsafeGuaranteedRef { buffer in
          let start = unsafe UnsafeRawPointer(bytes).assumingMemoryBound(to: UInt8.self)
          let source = unsafe UnsafeBufferPointer(start: start, count: count)
          buffer.append(unsafe Span(_unsafeElements: source))
        }
        unsafe written?.pointee = count
        return 1
      }

  /// Flushing succeeds, for there is nothing between this and the buffer; nothing else is
  /// supported.
  private static let control:
    @convention(c) (OpaquePointer?, Int32, Int, UnsafeMutableRawPointer?) -> Int =
      { _, command, _, _ in
        command == BIO_CTRL_FLUSH ? 1 : 0
      }
}
