"""`from tallymark import tqdm`: the library's bars, which also count in the open job."""

import asyncio
import io
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tqdm import tqdm as plain

from tallymark import Job, tqdm, trange

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


#: What was written to standard error.
Bar = pytest.CaptureFixture[str]


def test_a_loop_counts_each_item_when_its_turn_is_done(
    make_client: "Make", name: str, look: "Look", capsys: Bar
) -> None:
    """The arguments are the library's, by position and by name; the total and the cursor reach the job."""
    with make_client().job(name) as job:
        for number in tqdm(range(10), "crawl", 10, True, unit="issue", id=str):
            if number == 7:
                assert job.flush()
                assert look.counts(name) == ({"issue": 7}, 7)
                assert look(name)["progress"]["totalItems"] == 10
        for _number in trange(5, desc="more", leave=True, ncols=60, mininterval=0, initial=0, position=0):
            pass
    assert look.counts(name) == ({"issue": 10, "items": 5}, 15)
    assert look(name)["progress"]["lastProcessedId"] == "9"
    shown = capsys.readouterr().err
    assert "crawl: 100%" in shown
    assert "more: 100%" in shown


def test_a_loop_that_is_left_counts_what_was_done(make_client: "Make", name: str, look: "Look", capsys: Bar) -> None:
    """By `break`, and by an exception; and the bar is closed."""
    with make_client().job(name):
        for number in tqdm(range(10)):
            if number == 3:
                break
        with pytest.raises(ZeroDivisionError):
            [1 // (4 - number) for number in tqdm(range(10))]
    assert look.counts(name) == ({"items": 7}, 7)
    shown = capsys.readouterr().err
    assert "3/10" in shown
    assert "4/10" in shown


def test_a_bar_that_is_moved_by_hand_counts_whole_items_once(
    make_client: "Make", name: str, look: "Look", capsys: Bar
) -> None:
    """Steps back are not taken back, and parts of items add up."""
    with make_client().job(name) as job:
        with tqdm(total=20, unit="page") as pages:
            pages.update()
            pages.update(5)
            pages.set_description("fetching")
            pages.set_postfix(left=14)
            pages.refresh()
            assert job.flush()
            assert look.counts(name) == ({"page": 6}, 6)
            assert look(name)["progress"]["totalItems"] == 20
            pages.update(-2)
            pages.update(1)
            pages.update(0.5)
            pages.update(float("nan"))
            assert job.flush()
            assert look.counts(name) == ({"page": 6}, 6)
            pages.update(1.5)
            pages.reset(total=3)
            pages.update(3)
        tqdm.write("a line")
    assert look.counts(name) == ({"page": 10}, 10)
    shown = capsys.readouterr()
    assert "fetching" in shown.err
    assert shown.out == "a line\n"


def test_updates_of_many_threads_all_count(make_client: "Make", name: str, look: "Look") -> None:
    """A pool whose results move one bar."""
    with make_client().job(name), tqdm(total=4000) as items:

        def work() -> None:
            for _ in range(500):
                items.update()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert look.counts(name) == ({"items": 4000}, 4000)


def test_a_hidden_bar_counts_all_the_same(make_client: "Make", name: str, look: "Look", capsys: Bar) -> None:
    """`disable` is about the terminal."""
    with make_client().job(name):
        assert list(tqdm([1, 2, 3], disable=True, unit="row")) == [1, 2, 3]
        with tqdm(total=3, disable=True) as items:
            items.update(2)
    assert capsys.readouterr().err == ""
    assert look.counts(name) == ({"row": 3, "items": 2}, 5)


def test_bytes_are_no_items(make_client: "Make", name: str, look: "Look") -> None:
    """A download moves a bar by a million; with a type it counts."""
    with make_client().job(name):
        with tqdm(total=10**6, unit="B", unit_scale=True) as download:
            download.update(10**6)
        with tqdm.wrapattr(io.BytesIO(b"x" * 1000), "read", total=1000) as file:
            assert len(file.read()) == 1000
        with tqdm(total=100, unit="B", type="bytes") as named:
            named.update(100)
    assert look.counts(name) == ({"bytes": 100}, 100)


def test_it_reports_to_the_innermost_open_job_or_to_the_one_that_is_named(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """In a thread of its own, which inherits no context, to the only one that is open."""
    client = make_client()
    outer, inner = f"{name}_outer", f"{name}_inner"
    with client.job(outer) as job:
        with ThreadPoolExecutor(1) as executor:
            assert executor.submit(lambda: list(tqdm([1]))).result() == [1]
        with client.job(inner):
            list(tqdm([1, 2]))
            list(tqdm([1, 2, 3], job=job))
        list(tqdm([1, 2, 3, 4]))
    list(tqdm([1, 2, 3, 4, 5]))
    assert look.counts(outer) == ({"items": 8}, 8)
    assert look.counts(inner) == ({"items": 2}, 2)


def test_it_follows_asynchronous_items(make_client: "Make", name: str, look: "Look") -> None:
    """And jobs of different tasks are told apart."""

    async def numbers(most: int) -> AsyncIterator[int]:
        for number in range(most):
            await asyncio.sleep(0)
            yield number

    async def crawl(job_id: str, most: int) -> int:
        seen = 0
        async with client.job(job_id):
            async for _number in tqdm(numbers(most), total=most):
                seen += 1
        return seen

    async def both() -> list[int]:
        return list(await asyncio.gather(crawl(f"{name}_1", 5), crawl(f"{name}_2", 7)))

    client = make_client()
    assert asyncio.run(both()) == [5, 7]
    assert look.counts(f"{name}_1") == ({"items": 5}, 5)
    assert look.counts(f"{name}_2") == ({"items": 7}, 7)


class Broken:
    """Items whose number cannot be told."""

    def __len__(self) -> int:
        raise OSError("ask the server")

    def __iter__(self) -> "object":
        return iter((1, 2))


def test_it_is_a_bar_of_the_library(capsys: Bar) -> None:
    """Without a job it is a plain one, but for a length that raises; unknown arguments are refused."""
    assert issubclass(tqdm, plain)
    seen = []
    for number in tqdm(Broken()):
        seen += [number]
    assert seen == [1, 2]
    assert list(tqdm(iter("ab"))) == ["a", "b"]
    assert len(tqdm([1, 2])) == 2
    with pytest.raises(KeyError, match="Unknown argument"):
        tqdm([1], unknown=1)
    with pytest.raises(ValueError, match="1 to 100 characters"):
        tqdm([1], type="")
    assert "2it" in capsys.readouterr().err


def test_an_operator_stops_a_loop_over_a_bar(make_client: "Make", name: str, look: "Look") -> None:
    """As one of `track`."""
    with make_client().job(name) as job:
        seen = 0
        for _number in tqdm(range(1000)):
            seen += 1
            if seen == 3:
                job.ask_to_stop("SIGTERM")
        assert seen == 3
    assert isinstance(job, Job)
    assert look(name)["status"] == "paused"


def test_without_the_library_the_error_says_what_to_install() -> None:
    """Everything else works."""
    code = (
        "import sys; sys.modules['tqdm'] = None\n"
        "import tallymark; from tallymark import ProgressClient\n"
        "try: from tallymark import tqdm\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install tqdm" in done.stdout
