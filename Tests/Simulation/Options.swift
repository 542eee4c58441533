/// What the command line says.
struct Options {
  var seed: UInt64 = 0
  var isSeedGiven = false
  var lives = Int.max
  var seconds = Int.max
  var scripts = Int.max
  /// A script of either kind.
  var scriptBytes: [UInt8]?
  var script: Script? { scriptBytes.map { Script(bytes: $0) } }
  /// Histories of clusters are lived, and not connections.
  var isOfClusters = false
  /// A directory of scripts, one a file, to live before any other.
  var corpus: String?
  var isChild = false
  var isTracing = false
  /// How long the search for a shorter script may take.
  var shrinkSeconds = 20
  /// Seconds after which a script is taken to hang.
  var patience: UInt32 = 60
  var needsHelp = false

  static let usage = """
    usage: Simulation [--lives N] [--seconds S] [--seed SEED] [--script HEX] [--shrink S]

      --lives N      ends after so many connections
      --seconds S    ends after so long
      --seed SEED    begins with this seed, and goes on with the next; without it with a new one
      --scripts N    ends after so many scripts: one, to replay a seed
      --corpus DIR   lives the scripts in the files of this directory first
      --script HEX   lives this script alone
      --shrink S     seconds to spend on a shorter script (20)
      --clusters     lives histories of clusters, and not connections
      --trace        with --script: tells what became of each client
      --patience S   seconds until a script is taken to hang (60)

    """

  /// Nil where an argument is none of these.
  init?(_ arguments: [String]) {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      switch name {
      case "--child": isChild = true
      case "--trace": isTracing = true
      case "--clusters": isOfClusters = true
      case "-h", "--help": needsHelp = true
      default:
        guard let value = rest.popFirst(), set(name, value) else { return nil }
      }
    }
    if !isSeedGiven { seed = UInt64.random(in: 1...999_999_999) }
  }

  private mutating func set(_ name: String, _ value: String) -> Bool {
    if name == "--script" {
      scriptBytes = [UInt8](hexadecimal: value)
      return scriptBytes != nil
    }
    if name == "--corpus" {
      corpus = value
      return true
    }
    guard let number = UInt64(value) else { return false }
    switch name {
    case "--seed": (seed, isSeedGiven) = (number, true)
    case "--lives": lives = Int(clamping: number)
    case "--seconds": seconds = Int(clamping: number)
    case "--scripts": scripts = Int(clamping: number)
    case "--shrink": shrinkSeconds = Int(clamping: number)
    case "--patience": patience = UInt32(clamping: number)
    default: return false
    }
    return true
  }
}
