"""What runs in each web worker process: the application, an end with granian, and a limit for stalled clients."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from wsgiref.types import WSGIApplication

from tallymark.server.lifeline import die_with_parent

#: A client that reads nothing of what is sent to it for so long is disconnected.
_STALLED_SECONDS = 20
#: The listening socket is looked for this many times, with such pauses.
_LOOKS, _LOOK_SECONDS = 600, 0.1


def worker_app() -> WSGIApplication:
    """Make the WSGI application, in a worker process that ends when granian's main process does.

    Granian's workers would outlive a main process that is killed with -9, and keep the port.
    """
    main = multiprocessing.parent_process()
    if main is not None and main.pid is not None:
        die_with_parent(main.pid, signal.SIGKILL)
    from tallymark.web import create_app

    disconnect_stalled_clients(_STALLED_SECONDS)
    app = create_app()
    live, bodies = app.extensions["tallymark.live"], app.extensions["tallymark.bodies"]

    def stop() -> None:
        bodies.stop()
        live.stop()

    _call_at_end(stop)
    return app


def _call_at_end(stop: Callable[[], None]) -> None:
    """Call a function as soon as this process gets a signal to end; granian tells nobody, and waits for all requests.

    Granian sets its signal handlers later than this, and Python's own would run only when that wait is over. Python
    writes each signal's number to the pipe whatever the handlers are.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def listen() -> None:
        while not {signal.SIGTERM, signal.SIGINT} & set(os.read(reading, 64)):
            pass
        stop()

    Thread(target=listen, name="tallymark-signals", daemon=True).start()


def disconnect_stalled_clients(seconds: int) -> None:
    """Have the system close connections to this process's server whose client reads nothing for so long.

    A thread that sends to such a client waits, and nothing in Python can wake it: a few clients that stopped reading
    their streams would hold all places for good. The server may open its listening socket later, so a thread looks
    for it. Where the system has no such limit, or no /proc, nothing is done.
    """

    def look() -> None:
        for _ in range(_LOOKS):
            if _limit_connections(seconds):
                # Connections that were accepted before the listening socket had the limit.
                time.sleep(_LOOK_SECONDS)
                _limit_connections(seconds)
                return
            time.sleep(_LOOK_SECONDS)

    if hasattr(socket, "TCP_USER_TIMEOUT") and Path("/proc/self/fd").is_dir():
        Thread(target=look, name="tallymark-listener", daemon=True).start()


def _limit_connections(seconds: int) -> bool:
    """Set the limit on the listening sockets, one per address family, and all they accepted; say if there are any."""
    from tallymark.web.http.connections import socket_copy

    with ExitStack() as copies:
        found = (socket_copy(int(open_file.name)) for open_file in Path("/proc/self/fd").iterdir())
        sockets = [(copies.enter_context(copy), copy.getsockname()[1]) for copy in found if copy is not None]
        ports = {port for copy, port in sockets if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)}
        for copy, port in sockets:
            if port in ports:
                with suppress(OSError):
                    copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
        return bool(ports)
