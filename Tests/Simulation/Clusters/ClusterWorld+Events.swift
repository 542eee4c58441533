@testable import Discovery
import Redirect

extension ClusterWorld {
  private func change(_ body: (inout ClusterNode) -> Void, _ index: Int) {
    body(&nodes[index])
    consul.index += 1
    nodes[index].modifyIndex = consul.index
    wakeQueries()
  }

  func happen(_ event: ClusterEvent) {
    let index = Int(event.a) % nodes.count
    switch event.kind {
    case .advance: break
    case .elect, .split:
      // In a split the old one does not know yet.
      if event.kind == .elect {
        for other in nodes.indices where nodes[other].state == .active {
          nodes[other].state = .standby
        }
      }
      if nodes[index].state != .active {
        electionCount += 1
        nodes[index].state = .active
        nodes[index].activeSince = electionCount * 10
      }
      // Vault tells Consul at once, or a minute later.
      if event.b & 1 == 0 {
        for other in nodes.indices {
          change({ $0.tag = $0.state == .active ? "active" : "standby" }, other)
        }
      }
    case .lose: nodes[index].state = event.b & 1 == 0 ? .standby : .stray
    case .die: nodes[index].reach = .refusing
    case .hang: nodes[index].reach = .hung
    case .revive:
      nodes[index].reach = .well
      nodes[index].latency = 2
    case .breakTLS: nodes[index].reach = .untrusted
    case .impersonate where event.b % 4 == 3: nodes[index].reach = .wavering
    case .impersonate:
      nodes[index].reach = .impostor(
        ["<html>", "{}", #"{"initialized":true,"sealed":false,"standby":true}"#][Int(event.b) % 3])
    case .seal: nodes[index].state = event.b & 1 == 0 ? .sealed : .performanceStandby
    case .slow: nodes[index].latency = Int64(event.b) * 12
    case .endConnection:
      let known = machine.nodes?.nodes.map(\.place.endpoint) ?? []
      for case .known(let endpoint) in known where key(of: endpoint) == key(of: nodes[index]) {
        machine.connectionEnded(.probe(.health(endpoint)), now: moment)
      }
    case .syncTags: change({ $0.tag = $0.state == .active ? "active" : "standby" }, index)
    case .deregister: change({ $0.isRegistered = false }, index)
    case .register: change({ $0.isRegistered = true }, index)
    case .failSerf: change({ $0.serfFails = true }, index)
    case .failCheck: change({ $0.checkFails = true }, index)
    case .passChecks: change({ ($0.serfFails, $0.checkFails) = (false, false) }, index)
    case .maintain: change({ $0.isMaintained = true }, index)
    case .unmaintain: change({ $0.isMaintained = false }, index)
    case .reload:
      flights = []
      machine.reload(now: moment)
    case .move:
      // As the thread does it.
      // Also by what the name servers may still say of it.
      let addresses = owners.filter { $0.value == 0 }.keys
      machine.localHosts = event.b & 1 == 0 ? [] : Set(addresses).union(["vault-0"])
      flights = []
      machine.reload(now: moment)
    case .failNames, .fewNames, .findNames: names.happen(event)
    case .renumber where isMoved && index == 0: break
    case .renumber:
      renumberings += 1
      // Nobody gets an address that another had.
      nodes[index].address = Self.address(index, nodes[index].isAllowed, renumberings)
      owners[nodes[index].address] = index
    default:
      consul.happen(event, nodeCount: nodes.count)
      wakeQueries()
    }
  }
}
