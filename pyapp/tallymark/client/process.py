"""Guards against forks: what was made before a fork is never used, flushed or closed in the child.

The child has none of the client's threads, locks may be held by threads that do not exist there, and its SQLite
connections claim a file lock that belongs to the parent.
"""

import ctypes
import os


class InheritedError(RuntimeError):
    """A client or job that was made before a fork is used in the child."""

    def __init__(self, made_in: int) -> None:
        super().__init__(
            f"this client was made in process {made_in}, and this is process {os.getpid()}:"
            " make a ProgressClient after the fork"
        )


class _Current:
    """The id of this process, read ten times as fast as by `os.getpid`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        os.register_at_fork(after_in_child=self.look)

    def look(self) -> None:
        self.pid = os.getpid()


current = _Current()


def never_free(kept: object) -> None:
    """Keep an object until the process ends, even while the interpreter shuts down."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
