import Glibc
package import Logging
import Synchronization
package import Sys

/// Writes log lines to a descriptor from a thread of its own, so that a full pipe or a slow disk stops nobody: neither a worker,
/// nor the end of the process.
///
/// Between the workers and the thread stands a bounded queue: a line that finds it full is dropped and counted, and so is
/// one that the descriptor does not take.
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
    /// Set once the end has come: how long a descriptor that takes nothing is waited for, in milliseconds.
    var patience: Int32?
  }

  private let descriptor: Int32
  private let style: Style
  private let queue = Mutex(Queue())
  /// Wakes the thread: there are lines, or the end has come.
  private let pending: Wakeup
  /// Tells that the thread has ended.
  private let finished: Wakeup
  private let enabled = Atomic<Bool>(true)
  private let dropped = Atomic<UInt64>(0)
  private let thread = Mutex<WorkerThread?>(nil)

  /// - Parameter descriptor: stays owned by the caller, and open as long as the process lives.
  /// - Throws: where the system has no descriptors left.
  package init(descriptor: Int32, style: Style) throws(SystemError) {
    self.descriptor = descriptor
    self.style = style
    pending = try Wakeup()
    finished = try Wakeup()
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

  /// Lines lost: the queue was full, or the descriptor did not take them.
  package var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

  /// Starts the writing thread. Lines written before wait in the queue.
  ///
  /// - Throws: where the system has no room for another thread.
  package func start() throws(SystemError) {
    let thread = try WorkerThread(named: "log") { [self] in
      run()
      finished.signal()
    }
    self.thread.withLock { $0 = thread }
  }

  /// Adds a line to the queue; never waits for the descriptor.
  package func write(_ line: LogLine) {
    var bytes = prefix(for: line.level)
    bytes.append(contentsOf: line.bytes)
    bytes.append(UInt8(ascii: "\n"))
    let (isQueued, isFirst) = queue.withLock { queue in
      guard queue.lines.count < Self.linesMax else { return (false, false) }
      queue.lines.append(bytes)
      return (true, queue.lines.count == 1)
    }
    if !isQueued { dropped.add(1, ordering: .relaxed) }
    if isFirst { pending.signal() }
  }

  /// Writes what is queued and ends the thread.
  ///
  /// - Parameter patience: the longest wait for a descriptor that takes nothing, or blocks the thread in the kernel.
  ///   It keeps nobody: what is left is counted as dropped, and the thread ends with the process.
  package func stop(within patience: Duration) {
    let milliseconds = Int32(clamping: patience.wholeNanoseconds / 1_000_000)
    queue.withLock { $0.patience = milliseconds }
    pending.signal()
    guard let thread = thread.withLock({ $0.take() }) else { return }
    if Self.wait(for: finished.number, POLLIN, milliseconds: 2 * milliseconds) { thread.join() }
  }

  private func run() {
    var lines: [[UInt8]] = []
    var isGivenUp = false
    while true {
      let isStopping = queue.withLock { queue in
        swap(&lines, &queue.lines)
        return queue.patience != nil
      }
      let written = isGivenUp ? 0 : lines.prefix { put($0) }.count
      if written < lines.count {
        dropped.add(UInt64(lines.count - written), ordering: .relaxed)
        // At the end the descriptor is waited for once, however many lines are left.
        isGivenUp = queue.withLock { $0.patience != nil }
      }
      lines.removeAll(keepingCapacity: lines.count < 64)
      if isStopping { return }
      if queue.withLock({ $0.lines.isEmpty && $0.patience == nil }) {
        _ = Self.wait(for: pending.number, POLLIN, milliseconds: -1)
      }
      pending.clear()
    }
  }

  /// Writes one line whole; false where the descriptor is gone, or takes nothing and we are stopping.
  private func put(_ line: [UInt8]) -> Bool {
    var sent = 0
    while sent < line.count {
      guard waitUntilWritable() else { return false }
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

  /// Waits for the descriptor: for as long as nobody wants us to end, and then as long as `stop` says.
  private func waitUntilWritable() -> Bool {
    while true {
      if let patience = queue.withLock({ $0.patience }) {
        return Self.wait(for: descriptor, POLLOUT, milliseconds: patience)
      }
      var waiting = [
        pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0),
        pollfd(fd: pending.number, events: Int16(POLLIN), revents: 0),
      ]
      // The array holds the two entries that poll(2) reads and fills.
      guard unsafe poll(&waiting, 2, -1) > 0 else { continue }
      if waiting[0].revents != 0 { return true }
      // More lines, or the end: the queue has both.
      pending.clear()
    }
  }

  /// Waits for one event; false where the time is over.
  private static func wait(for number: Int32, _ event: Int32, milliseconds: Int32) -> Bool {
    var waiting = pollfd(fd: number, events: Int16(event), revents: 0)
    while true {
      // One entry, which poll(2) reads and fills.
      let ready = unsafe poll(&waiting, 1, milliseconds)
      if ready >= 0 || errno != EINTR { return ready > 0 }
    }
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
