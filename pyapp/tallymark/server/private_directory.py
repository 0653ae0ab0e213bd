"""A directory for what the processes of one server share while it runs, which nobody else may look into or prepare."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def cleared_private_directory(name: str) -> Path:
    """Make a directory that only we may use, or clear the one that an earlier run left.

    It stands in the system's directory for temporary files, where everybody may make things of any name: where somebody
    else did, it has a name of its own.

    Args:
        name: What tells it from this user's others.

    Returns:
        The directory, without files.

    Raises:
        OSError: It cannot be made or cleared.
    """
    directory = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        return Path(tempfile.mkdtemp(prefix=f"{name}-"))
    for file in directory.iterdir():
        file.unlink()
    return directory
