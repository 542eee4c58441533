import Glibc

/// Why credentials or a policy cannot be used; every case names the file or the option it is about.
package enum TLSError: Error, Equatable, Sendable {
  /// The file could not be opened or read; `errno` says why.
  case unreadable(path: String, errno: Int32)
  /// The path names a directory, a FIFO, a device or a socket.
  case notRegular(path: String, kind: String)
  /// The file holds nothing but white space.
  case empty(path: String)
  /// The file is far larger than any of its kind: more than `bytesMax` bytes.
  case tooLarge(path: String, bytesMax: Int)
  /// There is no PEM block of the kind asked for.
  case notPEM(path: String, expected: String)
  /// There is such a block, but it does not decode: cut off, or changed.
  case damaged(path: String, reason: String)
  /// The key wants a password, which a daemon has nobody to ask for.
  case encryptedKey(path: String)
  /// The key is not that of the certificate, the first one in its file.
  case keyMismatch(certificatePath: String, keyPath: String)
  /// The key is that of a later certificate: the leaf must come first.
  case leafNotFirst(certificatePath: String, keyPath: String)
  /// Two pairs have keys of the same type, of which a context serves one.
  case sameKeyType(firstPath: String, secondPath: String, key: String)
  /// A line of a ticket key file is not a key, or there are too few.
  case ticketKeys(path: String, reason: String)
  /// OpenSSL's security level 2 refuses a key or a signature of the chain.
  case tooWeak(path: String, reason: String)
  /// The certificate or key is sound but of no use for a server here.
  case unusable(path: String, reason: String)
  /// An option of the policy holds what this OpenSSL does not know.
  case policy(option: String, value: String)
  /// An option of the policy lowers OpenSSL's security level below 2, or lets in what authenticates nobody.
  case weakPolicy(option: String, value: String)
  /// OpenSSL has no memory left, or a bug.
  case library(reason: String)

  /// True where the file could not be read at all (exit 66); all else is files that do not fit
  /// (exit 78).
  package var isFileUnreadable: Bool {
    switch self {
    case .unreadable, .notRegular: true
    default: false
    }
  }
}

extension TLSError: CustomStringConvertible {
  /// One line for the operator, beginning with the file or the option.
  package var description: String {
    switch self {
    case .unreadable(let path, let errno):
      // strerror answers with a null-terminated string that stays until this thread calls it again.
      unsafe "\(path): cannot be read: \(String(cString: strerror(errno)))"
    case .notRegular(let path, let kind): "\(path): is \(kind) and not a regular file"
    case .empty(let path): "\(path): is empty"
    case .tooLarge(let path, let bytesMax):
      "\(path): is larger than any file of its kind: more than \(bytesMax) bytes"
    case .notPEM(let path, let expected): "\(path): holds no PEM \(expected)"
    case .damaged(let path, let reason): "\(path): is damaged: \(reason)"
    case .encryptedKey(let path):
      "\(path): the key is encrypted: decrypt it with `openssl pkey -in … -out …`"
    case .keyMismatch(let certificate, let key):
      "\(key): is not the key of the first certificate in \(certificate)"
    case .leafNotFirst(let certificate, let key):
      "\(certificate): the chain is out of order: the certificate of \(key) must come first"
    case .sameKeyType(let first, let second, let key):
      "\(second): has a key of the same type as \(first): \(key)"
    case .ticketKeys(let path, let reason): "\(path): \(reason)"
    case .tooWeak(let path, let reason): "\(path): is too weak: \(reason)"
    case .unusable(let path, let reason): "\(path): cannot be used: \(reason)"
    case .policy(let option, let value):
      "\(option): `\(value)` holds what \(openSSLVersionText()) does not know"
    case .weakPolicy(let option, let value):
      "\(option): `\(value)` asks for less than security level 2, or for ciphers without authentication"
    case .library(let reason): "OpenSSL: \(reason)"
    }
  }
}
