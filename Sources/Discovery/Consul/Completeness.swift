/// What an answer of Consul's is worth.
enum Completeness: Equatable, Sendable {
  /// What it names is there, and what it does not name is not.
  case complete
  /// What it names is there; of what it does not name it knows nothing: some of it is hidden from us (Consul's documentation, "ACL
  /// policies"), or the catalogue has only just been made again.
  case partial
  /// What it names was there once: the server that answers has lost its leader, and no other one answers.
  case outdated
}
