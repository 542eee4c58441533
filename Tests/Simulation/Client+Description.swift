extension Client: CustomStringConvertible {
  var description: String {
    "c\(serial) \(address) (\(options)): asked \(hearing.sent) of \(hearing.expectations.count), "
      + "heard \(hearing.answered); ended \(end.map { "\($0)" } ?? "-"), closed for "
      + (closeReason ?? "-")
  }
}
