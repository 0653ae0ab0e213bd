"""Children that do not outlive their parent, however it dies.

A parent that is killed with -9 cannot stop anything, so the kernel has to: `prctl(PR_SET_PDEATHSIG)` has it send a
signal to the child. The setting is made in the child, after any change of user (which clears it) and before `exec`
(which keeps it); by a small program rather than by `preexec_fn`, which may deadlock in a parent with threads.

This file is run by its path, as a program with an isolated interpreter, so it imports nothing but the standard library.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, signal_number: int) -> None:
    """Have the kernel send this process a signal when the thread of the parent that started it ends.

    Elsewhere than on Linux this only checks that the parent, named by its process id, still lives.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    # The parent may have died before the kernel had the setting.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


def bound_to_us(command: Sequence[str], signal_number: int) -> list[str]:
    """Wrap a command so that the kernel sends it a signal when the calling thread ends.

    The signal is tied to the *thread* that starts the command: use one that lives as long as the command should. The
    wrapper replaces itself by `command`, whose program is a path, so the process id is that of the program.
    """
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), str(int(signal_number)), *command]


def _main(arguments: Sequence[str]) -> None:
    parent, signal_number, *command = arguments
    die_with_parent(int(parent), int(signal_number))
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _main(sys.argv[1:])
