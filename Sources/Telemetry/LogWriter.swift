import Glibc
package import Logging
import Synchronization

/// Writes log lines to a descriptor from a thread of its own, so that a full pipe or a slow disk never stops a worker.
///
/// Between the workers and the thread stands a bounded queue: a line that finds it full is dropped and counted.
package final class LogWriter: Sendable {
  /// The most lines that wait to be written.
  package static let linesMax = 4096

  /// How a line begins.
  package enum Style: Sendable {
    /// `ts=` and the time in UTC.
    case plain
    /// `<N>`, the syslog priority that journald takes off (sd-daemon(3)); it knows the time itself.
    case journal
  }

  private struct Queue {
    var lines: [[UInt8]] = []
    var isStopping = false
  }

  private let descriptor: Int32
  private let style: Style
  private let queue = Mutex(Queue())
  private let pending: Semaphore
  private let enabled = Atomic<Bool>(true)
  private let dropped = Atomic<UInt64>(0)
  private let thread = Mutex<pthread_t?>(nil)

  /// - Parameter descriptor: stays owned by the caller, and open as long as this object lives.
  package init(descriptor: Int32, style: Style) {
    self.descriptor = descriptor
    self.style = style
    pending = Semaphore()
  }

  /// `journal` where standard error is the journal (JOURNAL_STREAM names its device and inode, systemd.exec(5)).
  package static func styleOfStandardError(journalStream: String?) -> Style {
    var status = stat()
    guard let journalStream, unsafe fstat(STDERR_FILENO, &status) == 0 else { return .plain }
    return journalStream == "\(status.st_dev):\(status.st_ino)" ? .journal : .plain
  }

  /// Whether lines are taken at all; `-l`, SIGUSR1 and SIGUSR2 change it.
  package var isEnabled: Bool {
    get { enabled.load(ordering: .relaxed) }
    set { enabled.store(newValue, ordering: .relaxed) }
  }

  /// Lines lost because the queue was full.
  package var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

  /// Starts the writing thread. Lines written before wait in the queue.
  package func start() {
    // The new thread takes this reference over.
    let reference = unsafe Unmanaged.passRetained(self)
    var id = pthread_t()
    let code = unsafe pthread_create(
      &id, nil,
      { pointer in
        // The reference was passed in for this thread to take over.
        guard let pointer = unsafe pointer else { return nil }
        unsafe Unmanaged<LogWriter>.fromOpaque(pointer).takeRetainedValue().run()
        return nil
      }, reference.toOpaque())
    if code == 0 {
      thread.withLock { $0 = id }
    } else {
      // No thread was started, so the reference is still ours.
      unsafe reference.release()
    }
  }

  /// Adds a line to the queue; never waits for the descriptor.
  package func write(_ line: LogLine) {
    var bytes = prefix(for: line.level)
    bytes.append(contentsOf: line.bytes.prefix(LogLine.bytesMax))
    bytes.append(UInt8(ascii: "\n"))
    let isQueued = queue.withLock { queue in
      guard queue.lines.count < Self.linesMax else { return false }
      queue.lines.append(bytes)
      return true
    }
    if isQueued {
      pending.post()
    } else {
      dropped.add(1, ordering: .relaxed)
    }
  }

  /// Writes what is queued and ends the thread; gives up on a descriptor that takes nothing for a second.
  package func stop() {
    queue.withLock { $0.isStopping = true }
    pending.post()
    if let id = thread.withLock({ $0.take() }) {
      // The thread is joinable, and its id was taken out just now: it is joined once.
      _ = pthread_join(id, nil)
    }
  }

  private func run() {
    while true {
      pending.wait()
      let (lines, isStopping) = queue.withLock { queue in
        defer { queue.lines.removeAll(keepingCapacity: queue.lines.count < 64) }
        return (queue.lines, queue.isStopping)
      }
      for line in lines where !put(line, isStopping: isStopping) { break }
      if isStopping { return }
    }
  }

  /// Writes one line whole; false where the descriptor is gone, or blocked while we are stopping.
  private func put(_ line: [UInt8], isStopping: Bool) -> Bool {
    var sent = 0
    while sent < line.count {
      var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      let ready = unsafe poll(&waiting, 1, isStopping ? 1000 : -1)
      if ready == 0 { return false }
      // The bytes behind `sent` are the array's own, for the length of the call.
      let result = unsafe line.withUnsafeBytes { bytes in
        unsafe Glibc.write(
          descriptor, UnsafeRawBufferPointer(rebasing: bytes[sent...]).baseAddress,
          bytes.count - sent)
      }
      if result >= 0 {
        sent += result
      } else if errno != EINTR && errno != EAGAIN {
        return false
      }
    }
    return true
  }

  private func prefix(for level: Logging.Logger.Level) -> [UInt8] {
    switch style {
    case .journal: Array("<\(level.syslogPriority)>".utf8)
    case .plain: Array("ts=\(currentTimestamp()) ".utf8)
    }
  }
}

extension Logging.Logger.Level {
  /// As syslog(3) numbers them.
  package var syslogPriority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}

/// A counting semaphore between threads (sem_overview(7)): posting never waits.
@safe
private final class Semaphore: @unchecked Sendable {
  // A sem_t may be posted and waited for by any thread at once; it stays at this address from sem_init to sem_destroy.
  private let semaphore: UnsafeMutablePointer<sem_t>

  init() {
    unsafe semaphore = .allocate(capacity: 1)
    // It fails only for a value beyond SEM_VALUE_MAX.
    _ = unsafe sem_init(semaphore, 0, 0)
  }

  deinit {
    // The owner is gone, so nobody waits.
    _ = unsafe sem_destroy(semaphore)
    unsafe semaphore.deallocate()
  }

  func post() {
    // It fails only when the count would overflow; the waiter is then awake anyway.
    _ = unsafe sem_post(semaphore)
  }

  func wait() {
    // EINTR is the one failure: try again.
    while unsafe sem_wait(semaphore) != 0 {}
  }
}
