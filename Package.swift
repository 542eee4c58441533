// swift-tools-version: 6.3
import PackageDescription

// The dependency list of a target is the floor plan: an import that is not drawn here does not build.
// `scripts/check` holds the same plan against every `import` line.

let safety: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
  name: "vault-redirector",
  products: [.executable(name: "vault-redirector", targets: ["vault-redirector"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    // Floor 0: C
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
      name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .target(name: "CLinux"),

    // Floor 1
    .target(name: "Sys", dependencies: ["CLinux"], swiftSettings: safety),
    .target(name: "HTTP1", swiftSettings: safety),
    .target(
      name: "Telemetry", dependencies: ["Sys", .product(name: "Logging", package: "swift-log")],
      swiftSettings: safety),

    // Floor 2
    .target(name: "TLS", dependencies: ["Sys", "COpenSSL"], swiftSettings: safety),
    .target(name: "ProxyProtocol", dependencies: ["Sys"], swiftSettings: safety),
    .target(name: "Redirect", dependencies: ["HTTP1"], swiftSettings: safety),

    // Floor 3
    .target(
      name: "Frontend", dependencies: ["Sys", "TLS", "ProxyProtocol", "HTTP1", "Telemetry"],
      swiftSettings: safety),
    .target(
      name: "Discovery", dependencies: ["CCurl", "Redirect", "Telemetry", "Sys"],
      swiftSettings: safety),

    // Floor 4
    .executableTarget(
      name: "vault-redirector",
      dependencies: [
        "Frontend", "Discovery", "TLS", "ProxyProtocol", "Redirect", "Sys", "HTTP1", "Telemetry",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: safety),

    // What tests of two floors share.
    .target(name: "GuardPage", path: "Tests/GuardPage", swiftSettings: safety),

    // Lives scripts of connections, and looks for what is wrong: scripts/simulate.
    .executableTarget(
      name: "Simulation",
      dependencies: [
        "Frontend", "Discovery", "TLS", "ProxyProtocol", "Redirect", "Sys", "HTTP1", "Telemetry",
        "COpenSSL",
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/Simulation", exclude: ["defects", "Clusters/defects"], swiftSettings: safety),

    .testTarget(name: "SysTests", dependencies: ["Sys"], swiftSettings: safety),
    .testTarget(
      name: "HTTP1Tests", dependencies: ["HTTP1", "GuardPage"], swiftSettings: safety),
    .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "Sys"], swiftSettings: safety),
    .testTarget(name: "TLSTests", dependencies: ["TLS", "Sys"], swiftSettings: safety),
    .testTarget(
      name: "ProxyProtocolTests", dependencies: ["ProxyProtocol", "Sys", "GuardPage"],
      swiftSettings: safety),
    .testTarget(name: "RedirectTests", dependencies: ["Redirect", "HTTP1"], swiftSettings: safety),
    .testTarget(
      name: "FrontendTests", dependencies: ["Frontend", "HTTP1", "Sys", "TLS", "Telemetry"],
      swiftSettings: safety),
    .testTarget(
      name: "DiscoveryTests", dependencies: ["Discovery", "Redirect", "Sys", "Telemetry"],
      exclude: ["Fixtures"], swiftSettings: safety),
  ],
  swiftLanguageModes: [.v6]
)
