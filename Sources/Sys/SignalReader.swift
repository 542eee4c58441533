import CLinux
import Glibc

/// Signals as data: blocked for the whole process, read one by one on the main thread (signalfd(2)).
package final class SignalReader: Sendable {
  private let descriptor: FileDescriptor

  /// Blocks `signals` for this thread and all it starts from now on, and ignores SIGPIPE: to be called before the
  /// first thread starts.
  package init(_ signals: [Int32]) throws(SystemError) {
    Self.ignorePipes()
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    let code = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    if code != 0 { throw SystemError("pthread_sigmask", code: code) }
    let number = try systemCall("signalfd") {
      unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC))
    }
    descriptor = FileDescriptor(owning: number)
  }

  /// A write to a closed peer becomes EPIPE, which every writer handles.
  private static func ignorePipes() {
    Glibc.signal(SIGPIPE, SIG_IGN)
  }

  /// Has `signals` wait for a reader that comes later, and ignores SIGPIPE: the first thing a program does where one of them would
  /// end it.
  package static func block(_ signals: [Int32]) {
    ignorePipes()
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    // It fails for a number that is no signal's: `init`, which blocks them again, says so.
    _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Waits for the next signal and returns its number.
  package func next() throws(SystemError) -> Int32 {
    var info = signalfd_siginfo()
    _ = try systemCall("read") {
      unsafe read(descriptor.number, &info, MemoryLayout<signalfd_siginfo>.size)
    }
    return Int32(bitPattern: info.ssi_signo)
  }

  /// What to register for reading where signals are waited for together with other events.
  package var number: Int32 { descriptor.number }
}
