"""Ports that are picked before somebody listens on them: nobody else is given them meanwhile."""

import errno
import socket


class Port:
    """A port of each of `hosts`, the same on all of them, kept from now until `close`.

    It is bound and does not listen: who connects is refused, and the kernel gives it to no other program, neither as
    a port of its own nor for a connection of its own. A server that sets SO_REUSEADDR, as servers do, may listen on it
    all the same (socket(7)), and again after its end.
    """

    def __init__(self, *hosts: str):
        hosts = hosts or ("127.0.0.1",)
        while True:
            self.number = 0
            self._sockets: list[socket.socket] = []
            try:
                for host in hosts:
                    self._bind(host)
                return
            except OSError as error:
                self.close()
                if error.errno != errno.EADDRINUSE:
                    raise

    def close(self):
        for each in self._sockets:
            each.close()

    def _bind(self, host: str):
        kept = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._sockets.append(kept)
        kept.bind((host, self.number))
        self.number = kept.getsockname()[1]
        # Only now: with it from the beginning, two could bind the same port.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
