import CLinux
import Glibc
import Synchronization

/// A thread of our own: started, named, joined or detached.
package final class WorkerThread: Sendable {
  private let thread: Mutex<pthread_t?>

  /// Starts `body` on a new thread.
  ///
  /// - Parameter name: what ps and gdb show; its first 15 bytes count.
  /// - Throws: EAGAIN where the system has no room for another thread.
  package init(
    named name: String, _ body: sending @escaping () -> Void
  ) throws(SystemError) {
    let start = ThreadStart(name: name, body: body)
    // The new thread takes this reference over; where none was started, it is taken back below.
    let reference = unsafe Unmanaged.passRetained(start)
    var thread = pthread_t()
    let code = unsafe pthread_create(
      &thread, nil,
      { pointer in
        guard let pointer = unsafe pointer else { return nil }
        let start = unsafe Unmanaged<ThreadStart>.fromOpaque(pointer).takeRetainedValue()
        unsafe clinux_name_thread(start.name)
        start.body()
        return nil
      }, reference.toOpaque())
    if code != 0 {
      unsafe reference.release()
      throw SystemError("pthread_create", code: code)
    }
    self.thread = Mutex(thread)
  }

  /// Waits until the thread has ended. A second call returns at once.
  package func join() {
    guard let thread = thread.withLock({ $0.take() }) else { return }
    // The thread is joinable, and its id was taken out just now: it is joined once.
    _ = pthread_join(thread, nil)
  }

  /// Lets the thread end by itself: nobody waits for it, and what it takes is given back when it has ended.
  package func detach() {
    guard let thread = thread.withLock({ $0.take() }) else { return }
    // The thread is joinable, and its id was taken out just now: nobody joins or detaches it again.
    _ = pthread_detach(thread)
  }
}

private final class ThreadStart {
  let name: String
  let body: () -> Void

  init(name: String, body: @escaping () -> Void) {
    self.name = String(name.prefix(15))
    self.body = body
  }
}

/// The processors that this process may run on (sched_getaffinity(2)); at least 1.
package func usableProcessors() -> Int {
  max(1, Int(clinux_processors()))
}
