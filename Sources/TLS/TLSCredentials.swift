import COpenSSL

/// A certificate chain with its key, loaded from two files and checked to belong together.
/// Immutable.
package final class TLSCredentials: Sendable {
  /// Where the chain was read.
  package let certificatePath: String
  /// Where the key was read.
  package let keyPath: String
  /// Of the leaf, the server's own certificate.
  package let facts: CertificateFacts

  private let chain: CertificateChain
  private let key: PrivateKey
  private let secrecyFinding: TLSFinding?

  /// Reads a PEM chain, leaf first, and a PEM key; both may be in one file.
  package init(certificatePath: String, keyPath: String) throws(TLSError) {
    let keyFile = try PEMFile(path: keyPath)
    self.certificatePath = certificatePath
    self.keyPath = keyPath
    chain = try PEMFile(path: certificatePath).certificates()
    key = try keyFile.privateKey()
    secrecyFinding = keyFile.secrecyFinding
    facts = unsafe CertificateFacts(chain.leaf)
    // All are valid for as long as this object is.
    let owner = unsafe chain.pointers.firstIndex { [key] certificate in
      unsafe X509_check_private_key(certificate, key.pointer) == 1
    }
    ERR_clear_error()
    switch owner {
    case 0: break
    case nil: throw .keyMismatch(certificatePath: certificatePath, keyPath: keyPath)
    default: throw .leafNotFirst(certificatePath: certificatePath, keyPath: keyPath)
    }
  }

  /// OpenSSL's number for the type of the key.
  var keyType: Int32 { unsafe EVP_PKEY_get_base_id(key.pointer) }

  /// The leaf and all that is sent with it.
  var expiring: [Expiring] {
    chain.facts.enumerated().map { index, facts in
      .certificate(index == 0 ? .leaf : .chain, path: certificatePath, facts)
    }
  }

  /// What an operator should know though the files can be served.
  ///
  /// - Parameter now: seconds since 1970-01-01T00:00:00Z.
  package func findings(at now: Int64) -> [TLSFinding] {
    chain.findings(path: certificatePath, at: now) + (secrecyFinding.map { [$0] } ?? [])
  }

  /// Makes these the certificate, chain and key of `context` for their type of key; the chain goes
  /// as the file has it.
  func install(in context: OpaquePointer) throws(TLSError) {
    guard let stack = unsafe OPENSSL_sk_new_null() else { throw .library(reason: "out of memory") }
    // The stack borrows our references; the context takes its own.
    defer { unsafe OPENSSL_sk_free(stack) }
    for index in unsafe chain.pointers.indices.dropFirst() {
      guard unsafe OPENSSL_sk_push(stack, UnsafeRawPointer(chain.pointers[index])) > 0 else {
        throw .library(reason: "out of memory")
      }
    }
    ERR_clear_error()
    if unsafe SSL_CTX_use_cert_and_key(context, chain.leaf, key.pointer, stack, 1) == 1 { return }
    throw refusal(OpenSSLError.takeFirst())
  }

  private func refusal(_ error: OpenSSLError?) -> TLSError {
    guard let error else { return .library(reason: "refused a certificate without a reason") }
    let weaknesses = [SSL_R_EE_KEY_TOO_SMALL, SSL_R_CA_KEY_TOO_SMALL, SSL_R_CA_MD_TOO_WEAK]
    if error.library == ERR_LIB_SSL, weaknesses.contains(error.reason) {
      return .tooWeak(path: certificatePath, reason: error.text)
    }
    return .unusable(path: certificatePath, reason: error.text)
  }
}
