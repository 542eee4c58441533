import COpenSSL
import Sys

/// An OpenSSL source and sink over a `TLSWire`: it reads within the turn's budget, and appends what is to be sent, so that a
/// flight, tickets, a response and close_notify leave in one `send`.
enum WireBIO {
  /// The table of functions, made once in the life of the process; nil where OpenSSL had no memory
  /// for it.
  ///
  /// Written here and nowhere else, then only read by OpenSSL, from any thread.
  nonisolated(unsafe) private static let method: OpaquePointer? = {
    let type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK
    // The callbacks are C functions that capture nothing; the method is never freed.
    guard let method = unsafe BIO_meth_new(type, "wire") else { return nil }
    unsafe BIO_meth_set_read_ex(method, read)
    unsafe BIO_meth_set_write_ex(method, append)
    unsafe BIO_meth_set_ctrl(method, control)
    unsafe BIO_meth_set_destroy(method, destroy)
    return unsafe method
  }()

  /// A new BIO that belongs to the caller, or nil where OpenSSL has no memory left. It keeps `wire` alive.
  static func make(_ wire: TLSWire) -> OpaquePointer? {
    guard let method = unsafe method, let bio = unsafe BIO_new(method) else { return nil }
    unsafe BIO_set_data(bio, Unmanaged.passRetained(wire).toOpaque())
    unsafe BIO_set_init(bio, 1)
    return unsafe bio
  }

  /// Lends the wire that a BIO of ours was made with.
  @inline(__always)
  static func withWire<Result>(
    _ bio: OpaquePointer?, _ body: (TLSWire) -> Result
  ) -> Result? {
    guard let data = unsafe BIO_get_data(bio) else { return nil }
    // `make` put it there, and the reference it took is given back by `destroy` alone.
    return unsafe Unmanaged<TLSWire>.fromOpaque(data)._withUnsafeGuaranteedRef(body)
  }

  private static let read:
    @convention(c) (
      OpaquePointer?, UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>?
    ) -> Int32 =
      { bio, bytes, room, count in
        unsafe BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
        guard let bytes = unsafe bytes else { return 0 }
        // OpenSSL passes `room` writable bytes.
        let received = unsafe withWire(bio) { wire in
          unsafe wire.receive(into: UnsafeMutableRawPointer(bytes), room: room)
        }
        switch received {
        case .bytes(let received):
          unsafe count?.pointee = received
          return 1
        case .later:
          unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
          return 0
        case .end, nil:
          return 0
        }
      }

  private static let append:
    @convention(c) (
      OpaquePointer?, UnsafePointer<CChar>?, Int, UnsafeMutablePointer<Int>?
    ) -> Int32 =
      { bio, bytes, count, written in
        guard let bytes = unsafe bytes else { return 0 }
        // OpenSSL passes `count` readable bytes.
        let start = unsafe UnsafeRawPointer(bytes).assumingMemoryBound(to: UInt8.self)
        let source = unsafe UnsafeBufferPointer(start: start, count: count)
        let isTaken = unsafe withWire(bio) { wire in
          wire.send(unsafe Span(_unsafeElements: source))
        }
        guard isTaken == true else { return 0 }
        unsafe written?.pointee = count
        return 1
      }

  /// Flushing succeeds, for there is nothing between this and the buffer; the end of the stream is told; nothing
  /// else is supported.
  private static let control:
    @convention(c) (OpaquePointer?, Int32, Int, UnsafeMutableRawPointer?) -> Int =
      { bio, command, _, _ in
        switch command {
        case BIO_CTRL_FLUSH: 1
        case BIO_CTRL_EOF: unsafe withWire(bio) { $0.isAtEnd } == true ? 1 : 0
        default: 0
        }
      }

  private static let destroy: @convention(c) (OpaquePointer?) -> Int32 = { bio in
    // What `make` took; a BIO is destroyed once.
    if let data = unsafe BIO_get_data(bio) { unsafe Unmanaged<TLSWire>.fromOpaque(data).release() }
    unsafe BIO_set_data(bio, nil)
    return 1
  }
}
