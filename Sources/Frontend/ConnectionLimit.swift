package import Sys

/// How many connections there may be at once, and what that follows from.
package struct ConnectionLimit: Equatable, Sendable {
  /// Fewer than this many are never what memory allows: a machine that has no room for them has none for this program.
  static let leastByMemory = 64

  package let connections: Int
  /// `--max-connections`, `RLIMIT_NOFILE`, or who limits the memory.
  package let source: String
  /// How many would fit into half of the memory if each took all it can; nil where no memory is known.
  package let byMemory: Int?

  /// The lesser of what descriptors and memory allow, or what was asked for.
  ///
  /// Half of the memory is for connections at their worst; the other half is for all else that shares it: the program, other
  /// processes, what malloc holds back, and files.
  ///
  /// - Parameters:
  ///   - descriptors: how many the process has left for connections; at least 1.
  ///   - memory: nil where nobody says how much there is.
  ///   - bytesEach: what one may take at the worst; more than 0.
  ///   - asked: what the operator wants, at most `descriptors`; nil for the default.
  package init(descriptors: Int, memory: MemoryLimit?, bytesEach: Int, asked: Int?) {
    let byMemory = memory.map {
      max(Self.leastByMemory, Int(clamping: $0.bytes / 2 / UInt64(bytesEach)))
    }
    self.byMemory = byMemory
    if let asked {
      (connections, source) = (asked, "--max-connections")
    } else if let memory, let byMemory, byMemory < descriptors {
      (connections, source) = (byMemory, memory.source)
    } else {
      (connections, source) = (descriptors, "RLIMIT_NOFILE")
    }
  }

  /// More were asked for than memory has room for if all of them take all they can.
  package var exceedsMemory: Bool { byMemory.map { connections > $0 } ?? false }
}
