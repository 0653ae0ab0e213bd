"""Ends the processes that a test has started, however the test ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from subprocess import Popen
from typing import Any

import psutil

#: Code with which a Python program begins that ends with the process that started it, even if that is killed. A server
#: that lives on would keep the output of the tests open.
ENDS_WITH_ITS_PARENT = "import ctypes, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 15); "


def end(process: Popen[Any]) -> None:
    """Kill a process that still runs, and all that it started, and close its pipes."""
    family: list[psutil.Process] = []
    if process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            # Listed now: after its end they could not be found.
            family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            # What it did not read is not missed.
            with suppress(BrokenPipeError):
                stream.close()
    process.wait()


@contextmanager
def ending(*processes: Popen[Any]) -> Iterator[None]:
    """End processes when the block ends."""
    try:
        yield
    finally:
        for process in processes:
            end(process)


@contextmanager
def ending_if_it_fails(process: Popen[Any]) -> Iterator[None]:
    """End a process if the block raises, as where it does not start as it should."""
    try:
        yield
    except BaseException:
        end(process)
        raise
