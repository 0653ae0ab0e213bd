"""Several processes, and asyncio: each child has a client of its own; a start and an end are never half done."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.web.conftest import TOKEN, Web

from tallymark import ProgressClient, tqdm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Look, Make


def crawl(url: str, spool: str, name: str, number: int, items: int) -> int:
    """Crawl in a process of its own."""
    with ProgressClient(url, token=TOKEN, spool=spool) as client, client.job(name, worker=f"w{number}") as job:
        for _item in job.track(range(items), type="issues", bar=False):
            pass
        for _item in tqdm(range(items), unit="page", disable=True):
            pass
    return os.getpid()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_in_processes_of_their_own_all_count(
    web: Web, tmp_path: "Path", name: str, look: "Look", make_client: "Make", method: str
) -> None:
    """While a job of the parent is open; the children use nothing of it."""
    with make_client().job(f"{name}_parent") as job:
        job.advance("issues")
        context = multiprocessing.get_context(method)
        with context.Pool(3) as pool:
            url, spool = f"http://127.0.0.1:{web.port}", str(tmp_path / "spools")
            found = pool.starmap(crawl, [(url, spool, name, number, 50) for number in range(3)])
        assert os.getpid() not in found
        job.advance("issues")
    assert look.counts(name) == ({"issues": 150, "page": 150}, 300)
    assert look.counts(f"{name}_parent") == ({"issues": 2}, 2)
    assert look(name)["status"] == look(f"{name}_parent")["status"] == "finished"


@pytest.mark.slow
def test_a_child_that_is_terminated_ends_at_once_and_pauses_nothing(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """A pool's `terminate` sends SIGTERM to children that have inherited the handler."""
    with make_client().job(name) as job:
        job.advance("issues")
        context = multiprocessing.get_context("fork")
        child = context.Process(target=time.sleep, args=(600,))
        child.start()
        child.terminate()
        child.join(60)
        assert child.exitcode == -15
        job.advance("issues")
    assert look(name)["status"] == "finished"
    assert look.counts(name) == ({"issues": 2}, 2)


def test_a_client_and_a_job_are_asynchronous_context_managers(make_client: "Make", name: str, look: "Look") -> None:
    """And the loop goes on while they start and end."""

    async def work() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        async with make_client() as client, client.job(name) as job:
            job.advance("issues", 3)
            assert await job.aflush()
        ticking.cancel()
        return ticks

    assert asyncio.run(work()) > 10
    assert look.counts(name) == ({"issues": 3}, 3)
    assert look(name)["status"] == "finished"


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 50, None])
def test_a_task_that_is_cancelled_at_any_moment_leaves_no_job_running(
    make_client: "Make", name: str, look: "Look", steps: int | None
) -> None:
    """While the job starts, works or ends, or after its end: what was started has an end, and the next run works."""
    client = make_client()

    async def work() -> None:
        async with client.job(name) as job:
            job.advance("issues")
            await asyncio.sleep(0)

    async def cancel() -> bool:
        task = asyncio.create_task(work())
        if steps is None:
            await asyncio.wait([task])
        for _ in range(steps or 0):
            await asyncio.sleep(0.001)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    was_cancelled = asyncio.run(cancel())
    with client.job(name) as job:
        # The first step may come before anything was started.
        before = [kind for kind in look.kinds(name) if kind.startswith("job_")]
        assert before.count("job_started") <= 2
        job.advance("issues")
    assert look(name)["status"] == "finished"
    if steps is None:
        assert not was_cancelled


def test_busy_threads_of_the_loop_do_not_delay_an_end(make_client: "Make", name: str, look: "Look") -> None:
    """A task that is cancelled while all threads of the executor are busy: its end is not dropped with it."""
    import threading

    free = threading.Event()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        busy = [loop.run_in_executor(None, free.wait, 30) for _ in range(40)]
        async with make_client().job(name) as job:
            job.advance("issues")
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        await asyncio.gather(*busy)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_freeing(work(), free))
    assert look(name)["status"] in {"paused", "finished"}
    assert look.counts(name) == ({"issues": 1}, 1)


async def _freeing(work: "object", free: "object") -> None:
    try:
        await work  # type: ignore[misc]  # a coroutine
    finally:
        free.set()  # type: ignore[attr-defined]  # an event


def test_the_client_works_where_there_are_no_forks(tmp_path: "Path") -> None:
    """As on Windows, where Python lacks these functions."""
    code = (
        "import os, sys; del os.fork, os.forkpty, os.register_at_fork\n"
        "from tallymark.client import ProgressClient\n"
        "away = {'retries': 0, 'start_timeout': 0.1, 'end_timeout': 0.1}\n"
        "with ProgressClient('http://127.0.0.1:1', token='x', spool=sys.argv[1], **away) as client:\n"
        "    with client.job('j') as job:\n"
        "        print(list(job.track('ab', bar=False)), job.advance('pages', key='a'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("['a', 'b'] True\n", 0), done.stderr
