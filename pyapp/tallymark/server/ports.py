"""Which TCP ports are free."""

import errno
import socket


def is_free(host: str, port: int) -> bool:
    """Say whether a server could listen there now.

    Args:
        host: A name or address of this machine.
        port: The port.

    Returns:
        False when another program listens there, also one that would share the port.

    Raises:
        OSError: The host is not an address of this machine, or the port is not for us.
    """
    family, kind, protocol, address = _resolved(host, port)
    with socket.socket(family, kind, protocol) as probe:
        # As servers do it: connections of a former server that are still fading away do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def some_free_port(host: str) -> int:
    """Return a port that is free now.

    Args:
        host: A name or address of this machine.

    Returns:
        The port. Another program may take it before you do.

    Raises:
        OSError: The host is not an address of this machine.
    """
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
