"""Clients that take nothing of what is sent to them.

A thread that sends to such a client waits, and nothing in Python can wake it: with streams, a few clients that stopped
reading would hold all places for good.
"""

import os
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

#: The socket that listens is looked for so often, with such pauses.
_LOOKS, _LOOK_SECONDS = 600, 0.1


def give_up_on_who_takes_nothing(seconds: int) -> None:
    """Have the system break off connections of this process's server whose other side takes nothing for so long.

    The server may open the socket that listens later: it is looked for in the background. Where the system knows no
    such limit, or has no /proc, nothing is done.

    Args:
        seconds: How long what is sent may be left untaken.
    """

    def look() -> None:
        for _ in range(_LOOKS):
            if _limit_connections(seconds):
                # Those who were let in before the socket that listens knew.
                time.sleep(_LOOK_SECONDS)
                _limit_connections(seconds)
                return
            time.sleep(_LOOK_SECONDS)

    if hasattr(socket, "TCP_USER_TIMEOUT") and Path("/proc/self/fd").is_dir():
        Thread(target=look, name="tallymark-listener", daemon=True).start()


def _limit_connections(seconds: int) -> bool:
    """Limit the sockets that listen, one for each family of addresses, and whom they let in; say if there are any."""
    with ExitStack() as copies:
        found = (_socket_copy(int(open_file.name)) for open_file in Path("/proc/self/fd").iterdir())
        sockets = [(copies.enter_context(copy), copy.getsockname()[1]) for copy in found if copy is not None]
        ports = {port for copy, port in sockets if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)}
        for copy, port in sockets:
            if port in ports:
                with suppress(OSError):
                    copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
        return bool(ports)


def _socket_copy(descriptor: int) -> socket.socket | None:
    """Return a copy of an open TCP socket, so that closing it closes nothing; None where it is something else."""
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
