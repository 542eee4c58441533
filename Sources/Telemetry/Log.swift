package import Logging

/// swift-log's logger, so that the floors above need not import it.
package typealias Log = Logging.Logger
