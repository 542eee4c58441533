import CLinux
import Glibc

/// Wakes a thread that waits in a poller: an eventfd that any thread may signal.
package final class Wakeup: Sendable {
  private let descriptor: FileDescriptor

  package init() throws(SystemError) {
    let number = try systemCall("eventfd") {
      eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    }
    descriptor = FileDescriptor(owning: number)
  }

  /// What to register for reading.
  package var number: Int32 { descriptor.number }

  /// From any thread. Several signals before the next `clear` are one.
  package func signal() {
    var one: UInt64 = 1
    // It fails only when the counter is full, and then the sleeper is woken anyway.
    _ = unsafe write(descriptor.number, &one, 8)
  }

  /// On the woken thread, before it looks at what it was woken for.
  package func clear() {
    var count: UInt64 = 0
    // EAGAIN means that nobody signalled since: nothing to clear.
    _ = unsafe read(descriptor.number, &count, 8)
  }
}
