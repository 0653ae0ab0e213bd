"""The code that is measured: that of this checkout, or that of another commit, unpacked beside it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.errors import BenchmarkError
from tallymark.server.lifeline import bound_to_us

ROOT = Path(__file__).parent.parent

_LOCK = "requirements.lock"
_STATIC = Path("pyapp", "tallymark", "web", "static")
_TALLYMARK = "from tallymark.cli import main; main()"
_WHERE = "import tallymark; print(tallymark.__file__)"
_COMMAND = """
import json, os, sys
from tallymark.server.granian import granian_command
from tallymark.settings import Settings
print(json.dumps(granian_command(Settings.from_env(os.environ), sys.argv[1], int(sys.argv[2]))))
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory with all files of one commit.

    Attributes:
        root: The directory.
        name: What people call it.
        python: The interpreter whose environment has what this commit needs.
    """

    root: Path
    name: str
    python: str = sys.executable

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return an environment in which Python imports the code of this tree.

        Returns:
            The given one, with a `PYTHONPATH` that comes before what is installed.
        """
        others = [path for path in (environ.get("PYTHONPATH"),) if path]
        return {**environ, "PYTHONPATH": os.pathsep.join((str(self.root / "pyapp"), *others))}

    def imported(self) -> Path:
        """Ask Python which `tallymark` it imports for this tree.

        Returns:
            The package's directory.

        Raises:
            BenchmarkError: It is not the one of this tree, or it cannot be imported.
        """
        found = Path(self._python(_WHERE, os.environ).strip()).parent
        if found.resolve() != (self.root / "pyapp" / "tallymark").resolve():
            raise BenchmarkError(f"Python imports {found}, not the code of {self.name} in {self.root}")
        return found

    def migrate(self, url: str) -> None:
        """Install the schema of this tree with its own command.

        Raises:
            BenchmarkError: The command failed.
        """
        self._python(_TALLYMARK, {**os.environ, "DATABASE_URL": url}, "migrate")

    def server_command(self, environ: Mapping[str, str], host: str, port: int) -> list[str]:
        """Ask the code of this tree how it starts its web server.

        Returns:
            The command without the application, which is its last part.

        Raises:
            BenchmarkError: The code has no answer.
        """
        command: list[str] = json.loads(self._python(_COMMAND, environ, host, str(port)))
        return command[:-1]

    def _python(self, code: str, environ: Mapping[str, str], *arguments: str) -> str:
        command = bound_to_us([self.python, "-c", code, *arguments], signal.SIGKILL)
        done = subprocess.run(
            command, cwd=self.root, env=self.environ(environ), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BenchmarkError(f"the code of {self.name} fails:\n{done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


THIS = Tree(ROOT, "this tree")


def commit_of(name: str) -> str:
    """Find a commit of this checkout.

    Returns:
        Its full hash.

    Raises:
        BenchmarkError: There is no such commit here, or no git.
    """
    return _git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()


@contextmanager
def unpacked(commit: str, name: str, directory: Path, say: Callable[[str], None]) -> Iterator[Tree]:
    """Unpack a commit, with the pages of this checkout, which are built and not measured.

    Git is asked for an archive and not for a worktree: nothing stays in the checkout where this process is killed.
    Where the commit's lock is another one, it gets an environment of its own.

    Raises:
        BenchmarkError: Git or the code of the commit fails, or what it needs cannot be installed.
    """
    tree = Tree(directory / "tree", name)
    tree.root.mkdir()
    archive = directory / "tree.tar"
    archive.write_bytes(_git("archive", "--format=tar", commit))
    with tarfile.open(archive) as file:
        file.extractall(tree.root, filter="data")
    archive.unlink()
    if (ROOT / _STATIC).is_dir():
        shutil.copytree(ROOT / _STATIC, tree.root / _STATIC, dirs_exist_ok=True)
    if (tree.root / _LOCK).read_bytes() != (ROOT / _LOCK).read_bytes():
        say(f"{name}: its {_LOCK} differs, so it gets an environment of its own")
        tree = in_its_environment(tree, directory / "environment")
    yield tree


def in_its_environment(tree: Tree, directory: Path) -> Tree:
    """Make a virtual environment with what a tree's lock names, and the tree itself.

    Returns:
        The tree, which runs in that environment.

    Raises:
        BenchmarkError: Something cannot be installed.
    """
    python = str(directory / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", python, "install"]
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(directory)],
        [*install, "--no-deps", "--require-hashes", "--requirement", str(tree.root / _LOCK)],
        [*install, "--no-deps", "--no-build-isolation", "--editable", str(tree.root)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchmarkError(f"what {tree.name} needs cannot be installed:\n{done.stderr.strip()}")
    return replace(tree, python=python)


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)  # noqa: S607
    except FileNotFoundError as error:
        raise BenchmarkError("git, which has the other commit, is not installed") from error
    if done.returncode != 0:
        raise BenchmarkError(f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
