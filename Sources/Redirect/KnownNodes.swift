import Synchronization

/// Every node that was ever active, numbered from 1: a list that only grows, so that it is read without a lock.
///
/// A cluster has a handful of nodes, and what a change of nodes costs here is a few words.
final class KnownNodes: Sendable {
  private final class Link: Sendable {
    let node: ActiveNode
    let next = AtomicLazyReference<Link>()

    init(_ node: ActiveNode) {
      self.node = node
    }
  }

  private let first = AtomicLazyReference<Link>()

  /// The number of `node`, which is added where it is new. One thread at a time may call this.
  func number(of node: ActiveNode) -> UInt64 {
    guard var link = first.load() else {
      _ = first.storeIfNil(Link(node))
      return 1
    }
    var number: UInt64 = 1
    while link.node != node {
      number += 1
      guard let next = link.next.load() else {
        _ = link.next.storeIfNil(Link(node))
        return number
      }
      link = next
    }
    return number
  }

  /// The node with this number; nil for 0. Any thread may call this for a number that was given out.
  func node(number: UInt64) -> ActiveNode? {
    guard number > 0 else { return nil }
    var link = first.load()
    for _ in 1..<number { link = link?.next.load() }
    return link?.node
  }
}
