@testable import Simulation

/// Made once: certificates are dear. libFuzzer calls from one thread.
nonisolated(unsafe) private let runner = try? Runner()

@c(LLVMFuzzerTestOneInput)
func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // libFuzzer owns `count` bytes at `data` for the length of this call.
  let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
  guard let runner = unsafe runner else { fatalError("the simulation cannot be set up") }
  let outcome = runner.run(Script(bytes: bytes))
  if let violation = outcome.violation { fatalError("operation \(outcome.step): \(violation)") }
  return 0
}
