"""A run of the tests ends when it is terminated, and a test that leaves something behind fails."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_CLIENT = 'ProgressClient("http://127.0.0.1:1", token="x", retries=0, start_timeout=0, end_timeout=0)'
_TERMINATED = f"""
import os, signal, time
from tallymark import ProgressClient

def test_a_job_is_open():
    with {_CLIENT} as client, client.job("j"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

def test_another():
    print("went on")
"""
_LEFT = f"""
import pytest
from tallymark import ProgressClient
import tests.conftest

tests.conftest._PATIENCE_SECONDS = 0.0
left = []

def test_a_client_is_left():
    client = {_CLIENT}
    left.append(client)
    client.job("j").start()

def test_it_is_not_told_again():
    left[0].close(60)

def test_a_client_is_closed():
    tests.conftest._PATIENCE_SECONDS = 60.0
    with {_CLIENT} as client, client.job("j"):
        pass
"""
_KILLED = """
import os, signal
from tests.client.conftest import _database, web

def test_a_server_runs(web):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run tests with the `conftest.py` of these tests."""
    (tmp_path / "test_it.py").write_text(text)
    options = ["-q", "-s", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(_ROOT / "pyproject.toml")]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path / "test_it.py")]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_run_of_the_tests_ends_when_it_is_terminated(tmp_path: Path) -> None:
    """Also while a job is open, whose client raises an exception that pytest takes for a failed test."""
    done = run(tmp_path, _TERMINATED)
    assert done.returncode == -15, done.stdout
    assert "went on" not in done.stdout


def test_a_test_that_leaves_a_client_running_fails(tmp_path: Path) -> None:
    """Only that one: not those after it, and not those that close their clients."""
    done = run(tmp_path, _LEFT)
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "threads of a client are left: tallymark-client" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: only Linux ends a process with its parent")
def test_a_run_of_the_tests_that_is_killed_leaves_no_server_that_holds_its_output(tmp_path: Path) -> None:
    """Who reads the output to its end does not wait for ever."""
    # It reads to the end.
    assert run(tmp_path, _KILLED).returncode == -9
