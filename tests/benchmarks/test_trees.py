"""The comparison of the endpoint with that of another commit: it is that commit's code that runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from benchmarks.errors import BenchmarkError
from benchmarks.serving import PRODUCT, serving
from benchmarks.trees import ROOT, THIS, commit_of, in_its_environment, unpacked
from tests.benchmarks.test_harness import run, without_database

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="other commits need git and its checkout"
)

#: Notes the process that imports the package.
MARK = """
import os as _os, pathlib as _pathlib
_pathlib.Path(_os.environ["IMPORTED_BY"], str(_os.getpid())).touch()
"""


@pytest.mark.slow
def test_the_server_of_another_commit_runs_its_code(tmp_path: Path, db_url: str) -> None:
    """In the process that answers, though this checkout is installed."""
    imported_by = tmp_path / "imported_by"
    imported_by.mkdir()
    environ = os.environ | {"DATABASE_URL": db_url, "IMPORTED_BY": str(imported_by)}
    with unpacked(commit_of("HEAD"), "HEAD", tmp_path, print) as tree:
        package = tree.root / "pyapp" / "tallymark"
        assert tree.imported() == package
        assert THIS.imported() == ROOT / "pyapp" / "tallymark"
        with (package / "__init__.py").open("a", encoding="utf-8") as file:
            file.write(MARK)
        with serving(PRODUCT, environ, tree) as server:
            assert (imported_by / str(server.worker.pid)).exists()


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_commit_with_another_lock_runs_with_what_that_names(tmp_path: Path, db_url: str) -> None:
    """A library that this checkout no longer has must be there, and this checkout's own must not be."""
    with unpacked(commit_of("HEAD"), "HEAD", tmp_path, print) as tree:
        lock = tree.root / "requirements.lock"
        lock.write_text(re.sub(r"^apprise==\S+ \\\n(?: .*\n)+", "", lock.read_text(), flags=re.MULTILINE))
        there = in_its_environment(tree, tmp_path / "environment")
        assert there.imported() == tree.root / "pyapp" / "tallymark"
        with serving(PRODUCT, os.environ | {"DATABASE_URL": db_url}, there) as server:
            assert str(tmp_path / "environment") in " ".join(server.worker.cmdline())
        missing = subprocess.run([there.python, "-c", "import apprise"], capture_output=True, check=False)
        assert missing.returncode == 1


def test_code_that_is_not_found_is_not_measured(tmp_path: Path) -> None:
    """What is installed would answer in its place."""
    with unpacked(commit_of("HEAD"), "HEAD", tmp_path, print) as tree:
        shutil.rmtree(tree.root / "pyapp")
        with pytest.raises(BenchmarkError, match="not the code of HEAD"):
            tree.imported()


def test_an_unknown_commit_is_refused() -> None:
    """Before anything is started."""
    done = run("--before", "no-such-commit", "--only", "against_before_16", environ=without_database())
    assert done.returncode == 2
    assert "--before" in done.stderr
    assert "PostgreSQL" not in done.stderr


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_two_commits_take_turns() -> None:
    """Each with a database of its own, and every acknowledged update is counted in it."""
    done = run("--quick", "--before", "HEAD", "--only", "against_before_1", environ=without_database())
    assert done.returncode == 0, done.stderr
    assert re.search(r"^against_before_1 \d+\.\d\d$", done.stdout, re.MULTILINE)
    assert "against_before_16" not in done.stdout
    imported = re.findall(r"tallymark is imported from (.*)", done.stderr)
    assert len(set(imported)) == 2
    assert str(ROOT / "pyapp" / "tallymark") in imported
    assert done.stdout.count("which is the same") == 2


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_without_another_commit_the_output_says_what_was_not_measured() -> None:
    """A missing figure is never silent."""
    done = run("--quick", "--only", "against_before_16", "slow_disk_16", environ=without_database())
    assert done.returncode == 0, done.stderr
    assert "name one with --before COMMIT" in done.stderr
    assert re.search(r"^NOT MEASURED.*: against_before_16, slow_disk_16$", done.stdout, re.MULTILINE)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("gcc") is None, reason="the slow disk needs a C compiler")
def test_the_slow_disk_is_slow() -> None:
    """The harness checks it, and says what a commit takes."""
    done = run("--quick", "--before", "HEAD", "--only", "slow_disk_hot", environ=without_database())
    assert done.returncode == 0, done.stderr
    assert re.search(r"^slow_disk_hot \d+\.\d\d$", done.stdout, re.MULTILINE)
    commit = re.search(r"a commit of one connection takes (\d+\.\d\d) ms", done.stderr)
    assert commit
    assert float(commit[1]) >= 2
