// ProxyProtocol
