import CCurl
package import Redirect
import Synchronization
package import Sys
package import Telemetry

/// Finds the active node, on a thread of its own named `discovery`, and publishes it.
// Unchecked: `loop`, `hasWarnedOfHosts` and `isFailing` are used by the discovery thread alone, but for its waker, which any thread may use, and for
// `deinit`, which nobody else can see. All other properties are constants that are Sendable themselves.
package final class DiscoveryThread: @unchecked Sendable {
  /// A reload gives up every question that is out: the next one waits for so long, or nobody would be heard where they come faster than
  /// answers, and a lookup that libcurl has given up would be left behind by each.
  static let reloadInterval = Duration.seconds(2)

  private let configuration: DiscoveryConfiguration
  private let cell: ActiveNodeCell
  private let log: Log
  private let time: TimeSource
  private let findHosts: @Sendable () -> LocalHosts
  private let loop: TransferLoop
  private let lookups: NameLookups
  private let metrics = DiscoveryMetrics()
  private var hasWarnedOfHosts = false
  private var isFailing = false
  private let isStopping = Atomic(false)
  private let isReloading = Atomic(false)
  private let thread = Mutex<WorkerThread?>(nil)

  /// Calls curl_global_init(3): before any other thread that might.
  ///
  /// - Parameter findHosts: what this machine is called; asked at the start, each minute, and by `reload`.
  package init(
    _ configuration: DiscoveryConfiguration, cell: ActiveNodeCell, log: Log,
    time: TimeSource = .system, findHosts: @escaping @Sendable () -> LocalHosts = LocalHosts.current
  ) {
    CurlLibrary.prepare()
    self.configuration = configuration
    self.cell = cell
    self.log = log
    self.time = time
    self.findHosts = findHosts
    loop = TransferLoop()
    lookups = NameLookups(waking: loop.waker)
  }

  /// Starts the thread; once.
  package func start() throws(SystemError) {
    var started: WorkerThread? = try WorkerThread(named: "discovery") { self.run() }
    thread.withLock { $0 = started.take() }
  }

  /// Ends the thread and waits for it; whatever it is asking is given up at once.
  package func stop() {
    isStopping.store(true, ordering: .releasing)
    loop.waker.wake()
    thread.withLock { slot in
      if let started = slot.take() { started.join() }
    }
  }

  /// Reads the token again and asks at once, or as soon as the last reload is two seconds old.
  package func reload() {
    isReloading.store(true, ordering: .releasing)
    loop.waker.wake()
  }

  /// Adds what discovery counts to what can be read. Call once.
  package func register(in registry: MetricsRegistry) {
    registry.register { [metrics, cell] in metrics.families(cell.load()) }
  }

  private func run() {
    let machine = DiscoveryMachine(configuration, cell: cell, log: log, metrics: metrics) {
      Double.random(in: 0..<1)
    }
    var nextLook = time.now().monotonic
    var nextReload = nextLook
    while !isStopping.load(ordering: .acquiring) {
      let start = time.now().monotonic
      let isAsked =
        start >= nextReload && isReloading.exchange(false, ordering: .acquiringAndReleasing)
      if isAsked || start >= nextLook {
        nextLook = start + LocalHosts.interval
        // Where this machine has another address now, what was chosen may be ourselves.
        let isMoved = lookAround(machine)
        if isAsked || isMoved {
          nextReload = start + Self.reloadInterval
          loop.forgetConnections()
          machine.reload(now: time.now())
        }
      }
      let now = time.now()
      for (question, request) in machine.due(now: now) { loop.start(request, for: question) }
      for question in machine.lookupsDue(now: now) { lookups.start(question) }
      var next = min(machine.nextAt ?? nextLook, nextLook)
      if isReloading.load(ordering: .acquiring) { next = min(next, nextReload) }
      let events = loop.turn(timeout: max(.zero, next - now.monotonic))
      for question in events.ended { machine.connectionEnded(question, now: time.now()) }
      for (question, result) in events.finished {
        machine.take(result, to: question, now: time.now())
      }
      for (question, answer) in lookups.takeFinished() {
        machine.take(answer, to: question, now: time.now())
      }
      warnOfFailure()
    }
    loop.cancelAll()
  }

  /// libcurl could not wait for an answer: once, until it can again.
  private func warnOfFailure() {
    if loop.isFailing, !isFailing {
      log.error("discovery cannot wait for answers, and looks for them ten times a second")
    }
    isFailing = loop.isFailing
  }

  /// Learns what this machine is called now; true where that has changed. Where the kernel does not say, what was known
  /// stays, and the guard against redirects to ourselves knows names alone, if it never did: that is worth a line.
  private func lookAround(_ machine: DiscoveryMachine) -> Bool {
    let hosts = findHosts()
    let names = machine.localHosts
    if let failure = hosts.failure {
      if !hasWarnedOfHosts {
        log.warning(
          """
          this machine's own addresses are unknown: a redirect to itself may go unnoticed; \
          a unit needs AF_NETLINK in RestrictAddressFamilies=
          """,
          metadata: ["reason": "\(failure)"])
      }
      hasWarnedOfHosts = true
      machine.localHosts = names.union(hosts.names)
    } else {
      hasWarnedOfHosts = false
      machine.localHosts = hosts.names
    }
    return machine.localHosts != names
  }
}

/// libcurl's global state: set up once, on the first use, and never torn down.
enum CurlLibrary {
  private static let code = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

  static func prepare() {
    precondition(code == CURLE_OK, "libcurl cannot be set up")
  }
}

extension TimeSource {
  /// CLOCK_MONOTONIC and the wall clock.
  package static let system = TimeSource {
    Moment(
      monotonic: .nanoseconds(MonotonicTime.now().nanoseconds),
      epochSeconds: MonotonicTime.secondsSinceEpoch())
  }
}
