"""A signal in the moment of a fork: the child ends by it and has nothing of its parent, and the parent goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

SIGNALLED = Path(__file__).with_name("signalled_in_fork.py")
_PATIENCE_SECONDS = 100.0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script of `signalled_in_fork.py`."""
    command = [sys.executable, str(SIGNALLED), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)


@pytest.mark.parametrize(("name_of_signal", "number"), [("SIGTERM", 15), ("SIGHUP", 1)])
@pytest.mark.parametrize("way", ["fork", "thread", "multiprocessing", "preexec", "own"])
def test_a_child_that_gets_a_signal_before_it_has_run_anything_ends_by_it(
    tmp_path: Path, way: str, name_of_signal: str, number: int
) -> None:
    """Or the crawl's own handler is called there. The job of the parent goes on, and no signal stays blocked."""
    done = run("child", str(tmp_path), name_of_signal, way)
    assert done.stdout == f"{7 if way == 'own' else -number} False 0\n", done.stderr


@pytest.mark.slow
def test_children_that_are_terminated_at_once_end(tmp_path: Path) -> None:
    """The signal comes before the child has returned from the fork, where Python drops it."""
    done = run("child", str(tmp_path), "SIGTERM", "at_once")
    assert done.stdout == "-15 False 0\n", done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_interrupt_at_any_bytecode_of_a_childs_beginning_leaves_it_nothing_of_the_parent(tmp_path: Path) -> None:
    """The inherited client refuses to work, handlers are the defaults, and the child's own client heeds signals."""
    done = run("interrupts", str(tmp_path))
    number, *wrong = done.stdout.split()
    assert int(number) > 50
    assert wrong == [], done.stderr


def test_a_parent_that_is_terminated_while_it_forks_pauses_its_job_and_ends(tmp_path: Path) -> None:
    """The exception waits for the end of the block: during the fork it would be lost, and the process would go on."""
    done = run("parent", str(tmp_path))
    assert (done.returncode, done.stdout) == (-15, "paused\n"), done.stderr
