"""Which process this is: what was made before a fork is never used, flushed or closed in the child.

After a fork there are no threads of the client's in the child, locks may be held by threads that are not there, and
the connections to SQLite believe to hold the lock of a file that is the parent's.
"""

import ctypes
import os


class InheritedError(RuntimeError):
    """A client or a job was made before a fork, and is used in the child."""

    def __init__(self, made_in: int) -> None:
        super().__init__(
            f"this client was made in process {made_in}, and this is process {os.getpid()}:"
            " make a ProgressClient after the fork"
        )


class _Current:
    """The id of this process. To look here takes a tenth of the time of `os.getpid`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        os.register_at_fork(after_in_child=self.look)

    def look(self) -> None:
        self.pid = os.getpid()


current = _Current()


def never_free(kept: object) -> None:
    """Keep something until the process is no more, also while the interpreter ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
