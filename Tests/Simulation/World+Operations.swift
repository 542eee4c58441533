import Redirect

// What operations do.

extension World {
  /// Runs an operation, and a turn after it unless it says otherwise.
  func run(_ operation: Operation) throws(Violation) {
    switch operation.code {
    case .connect: try connect(operation)
    case .request, .pipeline, .gate, .more, .read, .halfClose, .closeNotify, .close, .reset,
      .keyUpdate, .renegotiate, .raw, .forge, .urgent:
      if let client = places[Int(operation.client)], client.isOpen {
        try act(client, operation)
      }
    case .publish: publish(operation.a % 4)
    case .lose: publish(nil)
    case .advance: clock.advance(milliseconds: Leap(operation.a, operation.b).milliseconds)
    case .reload: reload(operation.a)
    case .turns: for _ in 0..<Int(operation.a % 64) { try turn() }
    case .scarce: try beScarce(operation)
    case .askForRoom:
      probe.askForRoom()
    case .crowd: try crowd(operation)
    case .rotateTickets: _ = try? materials.tickets.rotate()
    case .wake: probe.wakeup.signal()
    case .drain:
      isDraining = true
      probe.drain()
    case .stop:
      isDraining = true
      probe.stop()
    }
    if !operation.skipsTurn { try turn() }
  }

  private func connect(_ operation: Operation) throws(Violation) {
    let place = Int(operation.client)
    if let client = places[place] {
      guard client.isOver else { return }
      try retire(client)
    }
    places[place] = try connect(ConnectOptions(operation.a, operation.b))
  }

  /// The last look at a client that makes room for another.
  func retire(_ client: Client) throws(Violation) {
    try checkAnswered(client)
    client.close()
    forget(client)
  }

  private func act(_ client: Client, _ operation: Operation) throws(Violation) {
    switch operation.code {
    case .request:
      client.ask([RequestKind(operation.a)], count: 1, size: operation.b, settings: settings)
    case .pipeline:
      client.ask(
        operation.pipelineKinds, count: operation.pipelineCount, size: 0, settings: settings)
    case .gate:
      client.gate = Gate(rawValue: operation.a & 7)
      setReading(client)
    case .more:
      if operation.a & 0x80 == 0 {
        client.wireAllowance += operation.amount
      } else {
        client.plainAllowance += operation.amount
      }
    case .read:
      client.readAllowance += operation.amount
      try client.receive(self)
    case .halfClose: client.halfClose()
    case .closeNotify: client.closeNotify()
    case .close:
      client.close()
      forget(client)
    case .reset:
      client.reset()
      forget(client)
    case .keyUpdate: client.updateKeys(operation.keyUpdates, asks: operation.b & 1 == 1)
    case .renegotiate: client.renegotiate()
    case .raw: client.sendRaw(RawKind(operation.a).bytes(operation.b))
    case .urgent: client.sendRaw([0], isUrgent: true)
    case .forge: client.forge(ForgedKind(operation.a), Int(operation.b) + 1)
    default: break
    }
    if client.isOpen { try pump(client) }
  }

  private func reload(_ which: UInt8) {
    let context = which & 1 == 0 ? materials.short : materials.long
    stores[.encrypted]?.publish(context)
    let certified = which & 2 == 0 ? materials.optional : materials.required
    stores[.certified]?.publish(certified)
  }

  /// No descriptor is to be had for some turns, with a few clients at the door.
  private func beScarce(_ operation: Operation) throws(Violation) {
    for _ in 0..<Int(operation.b & 7) {
      if let client = try connect(ConnectOptions(operation.b >> 3, 0)) { crowd.append(client) }
    }
    Descriptors.exhaust()
    scarceTurns = Int(operation.a & 15) + 1
  }

  /// Many clients at once, each with a request.
  private func crowd(_ operation: Operation) throws(Violation) {
    var still: [Client] = []
    for client in crowd {
      if client.isOver { try retire(client) } else { still.append(client) }
    }
    crowd = still
    for index in 0...Int(operation.a) {
      let source = UInt8(index & 3) << 6
      guard let client = try connect(ConnectOptions(operation.b & 0x3F | source, 0)) else { break }
      crowd.append(client)
      if operation.b & 0x80 != 0 { continue }
      client.ask([.get], count: 1, size: 0, settings: settings)
      try pump(client)
    }
  }
}
