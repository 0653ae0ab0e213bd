"""Which TCP ports are free. A host is a name or address of this machine, else an OSError is raised."""

import errno
import socket


def is_free(host: str, port: int) -> bool:
    """Say whether a server could listen there now; False also where a program listens that would share the port."""
    family, kind, protocol, address = _resolved(host, port)
    with socket.socket(family, kind, protocol) as probe:
        # As servers do: connections of an earlier server that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def some_free_port(host: str) -> int:
    """Return a port that is free now. Another program may take it before you do."""
    family, kind, protocol, address = _resolved(host, 0)
    with socket.socket(family, kind, protocol) as probe:
        probe.bind(address)
        port: int = probe.getsockname()[1]
    return port


def _resolved(host: str, port: int) -> tuple[int, int, int, tuple[object, ...]]:
    """Return what a socket needs to listen on a host's first address."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    return family, kind, protocol, address
