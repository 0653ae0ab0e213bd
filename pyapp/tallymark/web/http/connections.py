"""The TCP connections of this process's server, as Linux knows them.

A server hides its sockets from the application. The system lists them, and tells when something was last sent and
received on each. Where it does not, on another system than Linux, nothing is found.
"""

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

_OPEN_FILES = Path("/proc/self/fd")
#: Where the kernel's `struct tcp_info` has what is used here: the milliseconds since something was last sent and last
#: received, and how many segments with data were received and sent.
_LAST_SENT, _LAST_RECEIVED, _SEGMENTS = 44, 52, 152
_TCP_INFO_BYTES = 160
#: The ports that this process has listened on. A server that stops listens no more, and still has its connections.
_listening: set[int] = set()


class ClientConnection(NamedTuple):
    """A client's connection.

    Attributes:
        descriptor: The number of its open file.
        inode: That of its socket, which no other one has while it is open.
        address: The client's IP address.
        sent_at: When something was last sent, or, before that, when the client connected.
        waits: Whether something was received after that. It may have been without being seen: the system's clock for
            this has steps of some milliseconds.
    """

    descriptor: int
    inode: int
    address: str
    sent_at: float
    waits: bool

    def end_reading(self) -> None:
        """Make the server find the end of what the client sends, while it can still answer."""
        copy = socket_copy(self.descriptor)
        if copy is not None:
            # Another connection may have got the descriptor meanwhile.
            with copy, suppress(OSError):
                if os.fstat(copy.fileno()).st_ino == self.inode:
                    copy.shutdown(socket.SHUT_RD)


def client_connections() -> list[ClientConnection]:
    """Return the connections that the listening sockets of this process have accepted; times are `time.monotonic`."""
    if not hasattr(socket, "TCP_INFO") or not _OPEN_FILES.is_dir():
        return []
    found: list[tuple[int, ClientConnection]] = []
    for descriptor, copy in _sockets():
        with copy, suppress(OSError):
            port = copy.getsockname()[1]
            if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                _listening.add(port)
            else:
                found.append((port, _described(descriptor, copy)))
    # Connections to the database are sockets, too.
    return [connection for port, connection in found if port in _listening]


def plain_address(address: str) -> str:
    """Return an IP address in one form, whether or not an IPv6 socket took an IPv4 client."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str((found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found)


def socket_copy(descriptor: int) -> socket.socket | None:
    """Return a copy of an open TCP socket, so that closing it closes nothing; None for any other file."""
    try:
        copied = os.dup(descriptor)
    except OSError:
        return None  # closed meanwhile
    try:
        found = socket.socket(fileno=copied)
    except OSError:
        os.close(copied)
        return None
    if found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM:
        return found
    found.close()
    return None


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    for open_file in _OPEN_FILES.iterdir():
        copy = socket_copy(int(open_file.name))
        if copy is not None:
            yield int(open_file.name), copy


def _described(descriptor: int, copy: socket.socket) -> ClientConnection:
    info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    (sent,), (received,) = struct.unpack_from("I", info, _LAST_SENT), struct.unpack_from("I", info, _LAST_RECEIVED)
    segments_received, segments_sent = struct.unpack_from("2I", info, _SEGMENTS)
    return ClientConnection(
        descriptor,
        os.fstat(copy.fileno()).st_ino,
        plain_address(copy.getpeername()[0]),
        time.monotonic() - sent / 1000,
        waits=received < sent or (segments_received > 0 and segments_sent == 0),
    )
