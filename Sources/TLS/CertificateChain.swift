import COpenSSL

/// The certificates of one file, in its order; at least one.
///
/// `@unchecked` is right because a certificate is only read once it is parsed, and counted
/// atomically by OpenSSL.
@safe
final class CertificateChain: @unchecked Sendable {
  /// Valid as long as this object is; whoever keeps one longer counts it up.
  let pointers: [OpaquePointer]

  /// Takes over one reference of each.
  init(owning pointers: [OpaquePointer]) {
    precondition(unsafe !pointers.isEmpty, "a chain begins with a leaf")
    unsafe self.pointers = pointers
  }

  deinit {
    unsafe pointers.forEach { unsafe X509_free($0) }
  }

  /// The first certificate: the server's own.
  var leaf: OpaquePointer { unsafe pointers[0] }

  var facts: [CertificateFacts] { unsafe pointers.map { unsafe CertificateFacts($0) } }

  /// Judges the chain as clients will at `now`, in seconds since 1970-01-01T00:00:00Z.
  func findings(path: String, at now: Int64) -> [TLSFinding] {
    let facts = self.facts
    var findings = brokenLink(facts, path: path).map { [$0] } ?? []
    for one in facts {
      if one.notAfter < now {
        findings.append(.expired(path: path, subject: one.subject, notAfter: one.notAfter))
      }
      if one.notBefore > now {
        findings.append(.notYetValid(path: path, subject: one.subject, notBefore: one.notBefore))
      }
    }
    // The leaf is valid as long as this object is.
    if unsafe X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) < 0 {
      findings.append(.noSubjectAlternativeName(path: path))
    }
    return findings
  }

  /// The first certificate that is not followed by its issuer and should be.
  ///
  /// A root needs none, nor does the last of several, whose issuer is a root that clients have. A
  /// leaf alone does: few authorities do without an intermediate.
  private func brokenLink(_ facts: [CertificateFacts], path: String) -> TLSFinding? {
    for index in facts.indices where index == 0 || index + 1 < facts.count {
      // All pointers are valid as long as this object is.
      let certificate = unsafe pointers[index]
      func isIssuer(_ other: Int) -> Bool {
        unsafe X509_check_issued(pointers[other], certificate) == X509_V_OK
      }
      if unsafe X509_self_signed(certificate, 0) == 1 { continue }
      if index + 1 < facts.count, isIssuer(index + 1) { continue }
      let subject = facts[index].subject
      return facts.indices.contains(where: isIssuer)
        ? .chainOutOfOrder(path: path, subject: subject)
        : .missingIssuer(path: path, subject: subject, issuer: facts[index].issuer)
    }
    return nil
  }
}

/// A private key; OpenSSL wipes it when the last reference is gone.
///
/// `@unchecked` is right because a key is only read once it is parsed, and counted atomically by
/// OpenSSL.
@safe
final class PrivateKey: @unchecked Sendable {
  /// Valid as long as this object is.
  let pointer: OpaquePointer

  /// Takes over one reference.
  init(owning pointer: OpaquePointer) {
    unsafe self.pointer = pointer
  }

  deinit {
    unsafe EVP_PKEY_free(pointer)
  }
}
