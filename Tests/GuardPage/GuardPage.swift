import Glibc

/// Calls `body` with a copy of `bytes` that ends where a page begins which nobody may touch: one
/// byte read too far is the end of the test process.
package func withGuardPage<Result>(
  behind bytes: [UInt8], _ body: (Span<UInt8>) -> Result
) -> Result {
  let page = Int(sysconf(Int32(_SC_PAGESIZE)))
  let readable = (bytes.count + page - 1) / page * page
  // The mapping is this function's own, and unmapped after `body`, which cannot keep the span.
  let protection = PROT_READ | PROT_WRITE
  let flags = MAP_PRIVATE | MAP_ANONYMOUS
  guard let start = unsafe mmap(nil, readable + page, protection, flags, -1, 0),
    unsafe start != MAP_FAILED, unsafe mprotect(start + readable, page, PROT_NONE) == 0
  else { fatalError("no guard page") }
  defer { unsafe munmap(start, readable + page) }
  let copy = unsafe UnsafeMutableBufferPointer(
    start: (start + (readable - bytes.count)).assumingMemoryBound(to: UInt8.self),
    count: bytes.count)
  _ = unsafe copy.initialize(from: bytes)
  return body(unsafe Span(_unsafeElements: UnsafeBufferPointer(copy)))
}
