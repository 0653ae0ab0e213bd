"""The user that PostgreSQL's programs run as. They refuse to run as root, and in many containers we are root.

An ordinary user runs them as itself. Root has three ways, tried in this order:

1. The data directory belongs to somebody else: they run as its owner, so that `sudo` does not take the data away.
2. In a user namespace in which root is called `nobody`: no file changes its owner, and the kernel still treats the
   files as root's own, so it works wherever root can read.
3. As the user `nobody`, who then owns the data directory. Most containers forbid user namespaces and need this way. It
   is checked that `nobody` can reach the directory and the programs.
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
    """How to start one of PostgreSQL's programs: what goes in front of it, and the user and group to become, if any."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def popen_arguments(self) -> dict[str, Any]:
        """Return further arguments for `subprocess.Popen`."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make the user the owner of a file, or of a directory without its content."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def choose_user(data_dir: Path, program: Path) -> PostgresUser:
    """Find the user that a program of PostgreSQL's can run as, and make sure that it owns the data directory."""
    if os.geteuid() != 0:
        return PostgresUser()
    owner = data_dir.stat()
    if owner.st_uid != 0:
        user = PostgresUser(uid=owner.st_uid, gid=owner.st_gid)
    elif namespace := _namespace_prefix():
        return PostgresUser(prefix=namespace)
    else:
        user = PostgresUser(uid=NOBODY, gid=NOBODY)
        # Checked before the directory changes its owner: a start that fails must leave it as it was.
        _check_reach(user, _programs(program))
        _give_tree(user, data_dir)
    _check_reach(user, _programs(program))
    _check_reach(user, {str(data_dir): ["/bin/sh", "-c", 'test -w "$1" && cd "$1"', "sh", str(data_dir)]})
    return user


def _programs(program: Path) -> dict[str, list[str]]:
    """Return the programs that the user must be able to run, each with a command that does nothing."""
    return {sys.executable: [sys.executable, "-I", "-S", "-c", ""], str(program): [str(program), "--version"]}


def _give_tree(user: PostgresUser, path: Path) -> None:
    """Make the user the owner of a directory and all in it; the top comes last, to show that all is done."""
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
    """Check that the user can run these commands; trying them is safer than adding up permission bits."""
    for path, command in attempts.items():
        try:
            done = subprocess.run(command, capture_output=True, check=False, cwd="/", **user.popen_arguments())
        except PermissionError:
            reachable = False
        else:
            reachable = done.returncode == 0
        if not reachable:
            raise UnusableUserError(
                "PostgreSQL does not run as root (`unshare` is missing or not allowed here), and user "
                f"{user.uid}, which would run it, cannot reach {Path(path).resolve()}: run as an ordinary user, or "
                "keep it where all users have access (data: --data DIR), or set DATABASE_URL to a PostgreSQL server"
            )
