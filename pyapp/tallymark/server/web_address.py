"""Where the web server of a running `tallymark up` is, written in its data directory for the other commands."""

import fcntl
import os
import time
from pathlib import Path

from tallymark.server.private_files import open_private

_FILE = "web"
#: Somebody who reads the file holds its lock for less than this.
_PATIENCE_SECONDS = 2.0
_MOST_BYTES = 4096


class WebAddress:
    """The file with the address of our web server.

    It counts while its lock (`flock`) is held, and so no longer than this process lives, however that ends.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _FILE
        self._file: int | None = None

    def write(self, url: str) -> None:
        """Write the address. Where another server has written its own, which holds the lock, that one stays."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = open_private(self._path, os.O_RDWR)
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    os.close(file)
                    return
                time.sleep(0.05)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{url}\n".encode(), 0)
        self._file = file

    def remove(self) -> None:
        """Remove the address; harmless if there is none."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def running_web_url(data_dir: Path) -> str | None:
    """Return the address of the web server of the `tallymark up` that runs on a data directory; None if none runs."""
    try:
        file = os.open(data_dir.expanduser().absolute() / _FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(file, _MOST_BYTES).decode(errors="replace").strip() or None
    finally:
        os.close(file)
    return None
