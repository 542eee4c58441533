import Glibc

/// An open descriptor with one owner: closed when its owner goes.
package struct FileDescriptor: ~Copyable, Sendable {
  package let number: Int32

  /// Takes over `number`, which must be open and owned by nobody else.
  package init(owning number: Int32) {
    precondition(number >= 0, "a descriptor is never negative")
    self.number = number
  }

  deinit {
    // close(2) on Linux frees the descriptor whatever it returns; retrying it could close somebody else's.
    _ = close(number)
  }

  /// Gives up ownership: the caller closes it.
  package consuming func release() -> Int32 {
    let number = self.number
    discard self
    return number
  }
}

/// The process's limits on open descriptors (getrlimit(2), RLIMIT_NOFILE).
package enum DescriptorLimit {
  /// Raises the soft limit to the hard one, as far as the kernel lets us, and returns what is in force.
  package static func raise() -> Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return 1024
    }
    if limit.rlim_cur < limit.rlim_max {
      var raised = limit
      raised.rlim_cur = limit.rlim_max
      if unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 {
        limit = raised
      }
    }
    return Int(clamping: limit.rlim_cur)
  }
}
