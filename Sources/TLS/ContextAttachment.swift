import COpenSSL

/// A place where an `SSL_CTX` keeps an object of ours, for as long as a session holds the context.
@safe
struct ContextAttachment: Sendable {
  /// The keys of session tickets.
  static let tickets = ContextAttachment()
  /// Who judges client certificates.
  static let clients = ContextAttachment()

  private let index: Int32

  private init() {
    index = unsafe copenssl_context_index { _, object, _, _, _, _ in
      // What `attach` put there, or nil in a context without.
      if let object = unsafe object { unsafe Unmanaged<AnyObject>.fromOpaque(object).release() }
    }
  }

  /// Has `context` hold one reference of `object`; throws `.library` where there is no memory left.
  func attach(_ object: AnyObject, to context: OpaquePointer) throws(TLSError) {
    let reference = unsafe Unmanaged.passRetained(object)
    if unsafe SSL_CTX_set_ex_data(context, index, reference.toOpaque()) == 1 { return }
    unsafe reference.release()
    throw .library(reason: "out of memory")
  }

  /// What was attached to the context of `ssl`; nil where nothing was.
  func object<Object: AnyObject>(of ssl: OpaquePointer, as type: Object.Type) -> Object? {
    // The session holds the context, and the context the object; `attach` is called with one type for each place.
    guard let data = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), index) else { return nil }
    return unsafe Unmanaged<Object>.fromOpaque(data).takeUnretainedValue()
  }
}
