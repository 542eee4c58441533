import CLinux
import Glibc

/// What a registered descriptor waits for. Level-triggered.
package struct Interest: OptionSet, Hashable, Sendable {
  package let rawValue: UInt8

  package init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  package static let read = Interest(rawValue: 1)
  package static let write = Interest(rawValue: 2)
  /// The peer shut down its side, without asking for its bytes.
  package static let hangup = Interest(rawValue: 4)
  /// One of several pollers that share a descriptor is woken, not all (EPOLLEXCLUSIVE).
  package static let exclusive = Interest(rawValue: 8)

  var events: UInt32 {
    var events: UInt32 = 0
    if contains(.read) { events |= EPOLLIN.rawValue }
    if contains(.write) { events |= EPOLLOUT.rawValue }
    if contains(.hangup) { events |= EPOLLRDHUP.rawValue }
    if contains(.exclusive) { events |= EPOLLEXCLUSIVE.rawValue }
    return events
  }
}

/// What became of a registered descriptor.
package struct PollEvent: Sendable {
  /// What the descriptor was registered with.
  package let token: UInt64
  package let isReadable: Bool
  package let isWritable: Bool
  /// The socket has an error (EPOLLERR): a reset, or a peer that answers no more.
  package let isBroken: Bool
  /// Both directions are shut down (EPOLLHUP). What came before may still be there to read.
  package let isShutDown: Bool
  /// The peer shut down its side (EPOLLRDHUP).
  package let isHangup: Bool
}

/// An epoll instance. Confined to one thread.
@safe
package struct Poller: ~Copyable {
  private static let eventsMax = 128

  private let descriptor: FileDescriptor
  // Owned here alone, allocated in `init`, freed in `deinit`; epoll_wait initializes what it reports.
  private let events: UnsafeMutablePointer<epoll_event>
  private var count = 0

  package init() throws(SystemError) {
    let number = try systemCall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) }
    descriptor = FileDescriptor(owning: number)
    unsafe events = .allocate(capacity: Self.eventsMax)
  }

  deinit {
    unsafe events.deallocate()
  }

  package func add(_ number: Int32, _ interest: Interest, token: UInt64) throws(SystemError) {
    try control(EPOLL_CTL_ADD, number, interest, token)
  }

  package func modify(_ number: Int32, _ interest: Interest, token: UInt64) throws(SystemError) {
    try control(EPOLL_CTL_MOD, number, interest, token)
  }

  package func remove(_ number: Int32) throws(SystemError) {
    try control(EPOLL_CTL_DEL, number, [], 0)
  }

  private func control(
    _ operation: Int32, _ number: Int32, _ interest: Interest, _ token: UInt64
  ) throws(SystemError) {
    // epoll_data is a union: only its 64-bit member is ever written and read here.
    var event = unsafe epoll_event()
    unsafe event.events = interest.events
    unsafe event.data.u64 = token
    _ = try systemCall("epoll_ctl") {
      unsafe epoll_ctl(descriptor.number, operation, number, &event)
    }
  }

  /// Waits until something happens.
  ///
  /// - Parameter milliseconds: the longest wait; -1 for no end, 0 for none.
  /// - Returns: how many events there are to look at with `event`; 0 after a time-out or a signal.
  package mutating func wait(milliseconds: Int32) throws(SystemError) -> Int {
    count = 0
    let result = unsafe epoll_wait(
      descriptor.number, events, Int32(Self.eventsMax), milliseconds)
    if result < 0 {
      let code = errno
      if code == EINTR { return 0 }
      throw SystemError("epoll_wait", code: code)
    }
    count = Int(result)
    return count
  }

  /// What the last `wait` found, from 0 up to what it returned.
  @inline(__always)
  package func event(_ index: Int) -> PollEvent {
    precondition(index < count, "an event that the last wait did not report")
    // The first `count` events were written by epoll_wait.
    let event = unsafe events[index]
    let flags = unsafe event.events
    return PollEvent(
      token: unsafe event.data.u64,
      isReadable: flags & (EPOLLIN.rawValue | EPOLLHUP.rawValue) != 0,
      isWritable: flags & EPOLLOUT.rawValue != 0,
      isBroken: flags & EPOLLERR.rawValue != 0,
      isShutDown: flags & EPOLLHUP.rawValue != 0,
      isHangup: flags & EPOLLRDHUP.rawValue != 0)
  }
}
