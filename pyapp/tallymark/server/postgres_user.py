"""As which user PostgreSQL's programs run. They refuse to run as root, and root is what many containers give us.

An ordinary user runs them as itself. Root has three ways, tried in this order:

1. The data directory belongs to somebody else: they run as its owner, so that `sudo` does not take the data away.
2. In a user namespace in which root is called `nobody`: nothing changes hands, and the kernel still treats the files as
   root's own, so it works wherever root can read.
3. As the user `nobody`, who then owns the data directory. Containers mostly forbid user namespaces, so this is needed
   there; but `nobody` must be able to reach the directory and the programs, which is checked, with a clear error.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOBODY = 65534
_NAMESPACE = ("--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")


class UnusableUserError(Exception):
    """No user was found that PostgreSQL's programs could run as."""


@dataclass(frozen=True, slots=True)
class PostgresUser:
    """How to start a program of PostgreSQL's.

    Attributes:
        prefix: Goes in front of the command.
        uid: The user to become, or None to stay who we are.
        gid: The group to become; set together with `uid`.
    """

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def popen_arguments(self) -> dict[str, Any]:
        """Return what `subprocess.Popen` must be told besides the command."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Hand one file or directory, without what is in it, to the user.

        Args:
            path: What the user is to own.

        Raises:
            OSError: It cannot be handed over.
        """
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def choose_user(data_dir: Path, program: Path) -> PostgresUser:
    """Find the user that PostgreSQL's programs can run as, and see that it owns the data directory.

    Args:
        data_dir: The directory that holds the data; it exists.
        program: One of PostgreSQL's programs.

    Returns:
        The user, and how to become it.

    Raises:
        UnusableUserError: Root has no way; the message says what to do.
    """
    if os.geteuid() != 0:
        return PostgresUser()
    owner = data_dir.stat()
    if owner.st_uid != 0:
        user = PostgresUser(uid=owner.st_uid, gid=owner.st_gid)
    elif namespace := _namespace_prefix():
        return PostgresUser(prefix=namespace)
    else:
        user = PostgresUser(uid=NOBODY, gid=NOBODY)
        # Before anything is handed over: a start that is refused must leave the directory as it was.
        _check_reach(user, _programs(program))
        _give_tree(user, data_dir)
    _check_reach(user, _programs(program))
    _check_reach(user, {str(data_dir): ["/bin/sh", "-c", 'test -w "$1" && cd "$1"', "sh", str(data_dir)]})
    return user


def _programs(program: Path) -> dict[str, list[str]]:
    """Return what the user must be able to run, each with a command that does nothing."""
    return {sys.executable: [sys.executable, "-I", "-S", "-c", ""], str(program): [str(program), "--version"]}


def _give_tree(user: PostgresUser, path: Path) -> None:
    """Hand over root's own directory, the top last: whoever finds it handed over finds all of it so."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _give_tree(user, child)
    user.give(path)


def _namespace_prefix() -> tuple[str, ...]:
    """Return the command that enters the user namespace, or nothing where the kernel or the container forbids it."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    prefix = (unshare, *_NAMESPACE)
    tried = subprocess.run([*prefix, sys.executable, "-I", "-S", "-c", ""], capture_output=True, check=False)
    return prefix if tried.returncode == 0 else ()


def _check_reach(user: PostgresUser, attempts: dict[str, list[str]]) -> None:
    """See that the user can do what it must; asking the kernel beats adding up permission bits."""
    for path, command in attempts.items():
        try:
            done = subprocess.run(command, capture_output=True, check=False, cwd="/", **user.popen_arguments())
        except PermissionError:
            reachable = False
        else:
            reachable = done.returncode == 0
        if not reachable:
            raise UnusableUserError(
                f"PostgreSQL does not run as root (`unshare` is missing or not allowed here), and user {user.uid}, as "
                f"which it would run instead, cannot reach {Path(path).resolve()}: run as an ordinary user, or keep it "
                "where everybody may go (data: --data DIR), or set DATABASE_URL to a PostgreSQL server of your own"
            )
