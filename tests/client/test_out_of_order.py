"""Crawlers that are killed while their items end in any order, and crawls that go on on other machines."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.client.test_loses_nothing import _kill_web
from tests.faults.crawlers import TOKEN
from tests.faults.servers import WebServer
from tests.processes import ending

from tallymark import ProgressClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.conftest import Look, Make

CRAWLER = Path(__file__).with_name("out_of_order.py")


def _counts(url: str, job: str) -> dict[str, int]:
    with psycopg.connect(url, autocommit=True) as db:
        assert db.execute("SELECT tallymark.verify_job(%s)", [job]).fetchone() == (True,)
        row = db.execute("SELECT progress -> 'itemsByType' FROM tallymark.job WHERE id = %s", [job]).fetchone()
    assert row is not None
    found: dict[str, int] = row[0]
    return found


def _kill_again_and_again(url: str, directory: Path, *, spool: bool, rounds: int, items: int) -> str:
    chance = random.Random(rounds)
    web = WebServer(url, directory / "web.log")
    journal = directory / "journal"
    kills = 0
    with ExitStack() as stack:
        stack.callback(web.stop)
        web.start()
        command = [
            *(sys.executable, str(CRAWLER), f"http://127.0.0.1:{web.port}", TOKEN),
            *(str(directory / "spool") if spool else "-", "the crawl", str(journal), str(items)),
        ]
        while True:
            before = len(journal.read_text().splitlines()) if journal.exists() else 0
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            aim = before + chance.randrange(20, max(21, items // rounds))
            with ending(process):
                while process.poll() is None and (
                    kills >= rounds or not journal.exists() or len(journal.read_text().splitlines()) < aim
                ):
                    time.sleep(0.01)
                if process.poll() is None:
                    process.kill()
                    kills += 1
                    if kills % 4 == 2:
                        _kill_web(web)
                        web.start()
                if process.wait() == 0:
                    break
        counted = _counts(url, "the crawl")
    worked = Counter(journal.read_text().splitlines())
    assert set(worked) == {f"page {number}" for number in range(items)}, "none is skipped"
    assert counted == {"pages": items}, "none counts twice"
    return f"{items} items, {kills} kills, {sum(worked.values())} worked on"


@pytest.mark.parametrize("spool", [True, False])
def test_a_crawl_that_is_killed_skips_nothing_and_counts_nothing_twice(
    db_url: str, tmp_path: Path, record_property: "Callable[[str, object], None]", *, spool: bool
) -> None:
    """With a spool, and without one, as on another machine."""
    record_property("figure", _kill_again_and_again(db_url, tmp_path, spool=spool, rounds=3, items=300))


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("spool", [True, False])
def test_a_crawl_that_is_killed_dozens_of_times_skips_nothing_and_counts_nothing_twice(
    db_url: str, tmp_path: Path, record_property: "Callable[[str, object], None]", *, spool: bool
) -> None:
    """The same, more often."""
    record_property("figure", _kill_again_and_again(db_url, tmp_path, spool=spool, rounds=40, items=4000))


def test_a_hundred_pages_on_four_machines_with_three_workers_are_a_hundred(
    db_url: str, tmp_path: Path, record_property: "Callable[[str, object], None]"
) -> None:
    """Each run has an empty spool and an order of its own, and the server is killed meanwhile."""
    urls = [f"https://site.example/{number}" for number in range(100)]
    web = WebServer(db_url, tmp_path / "web.log")
    sent = Counter[str]()
    with ExitStack() as stack:
        stack.callback(web.stop)
        web.start()

        def crawl(run: int, worker: str, most: int) -> None:
            order = random.Random(f"{run} {worker}").sample(urls, len(urls))
            client = ProgressClient(
                f"http://127.0.0.1:{web.port}", token=TOKEN, spool=tmp_path / f"{run} {worker}", every_seconds=0.05
            )
            with client, client.job("pages", worker=worker) as job:
                for url in order[:most]:
                    sent[url] += job.advance("pages", key=url)
                    time.sleep(0.002)
                if most < len(urls):
                    job.pause()

        for run, most in enumerate((30, 50, 70, 100)):
            threads = [threading.Thread(target=crawl, args=(run, worker, most)) for worker in "abc"]
            for thread in threads:
                thread.start()
            _kill_web(web)
            web.start()
            for thread in threads:
                thread.join()
        # What a run could not deliver is in its spool.
        for run in range(4):
            for worker in "abc":
                client = ProgressClient(f"http://127.0.0.1:{web.port}", token=TOKEN, spool=tmp_path / f"{run} {worker}")
                with client, client.job("pages", worker=worker):
                    pass
        assert _counts(db_url, "pages") == {"pages": 100}
    record_property("figure", f"100 pages, {sum(sent.values())} times crawled")
    assert sum(sent.values()) > 300


def test_items_end_in_any_order_on_the_server(make_client: "Make", name: str, look: "Look") -> None:
    """The cursor, the items after it that are done, and the counts; a restart on another machine does the rest."""
    urls = [f"u{number}" for number in range(6)]
    with make_client(spool=None).job(name) as job:
        items = {url: job.begin(url, "pages") for url in job.todo(urls)}
        for url in ("u0", "u3", "u5"):
            assert items[url].done()
        items["u1"].skip()
        items["u2"].failed()
        assert job.flush()
        progress = look(name)["progress"]
        assert (progress["lastProcessedId"], progress["doneBeyond"]) == ("u1", ["u3", "u5"])
        assert progress["itemsByType"] == {"pages": 3}
        job.pause()
    with make_client(spool=None).job(name) as job:
        assert (job.resume.last_processed_id, job.resume.done) == ("u1", frozenset({"u3", "u5"}))
        again = job.begin("u5", "pages")
        assert again.was_done
        assert not again.done()
        left = []
        for url in job.todo(urls):
            with job.item(url, "pages", key=url):
                left.append(url)
        assert left == ["u2", "u4"]
    found = look(name)["progress"]
    assert (found["lastProcessedId"], found["itemsByType"]) == ("u5", {"pages": 5})
    assert "doneBeyond" not in found, "the end has cleared it"
    with make_client(spool=None).job(name) as job:
        assert job.resume.done == frozenset()


@pytest.mark.parametrize("kind", [set, frozenset])
def test_a_list_without_an_order_is_refused_at_the_call(
    make_client: "Make", name: str, kind: "Callable[[list[str]], set[str] | frozenset[str]]"
) -> None:
    """In another process its order is another one, so a restart would skip what is not done."""
    with make_client().job(name) as job:
        with pytest.raises(TypeError, match="sorted"):
            job.todo(kind(["a", "b"]))
        assert list(job.todo(dict.fromkeys(["b", "a"]).keys())) == ["b", "a"]


def test_an_exception_leaves_the_item_open(make_client: "Make", name: str, look: "Look") -> None:
    """The cursor stays before it, and items after it that are done are not done again."""

    def fetch(url: str) -> None:
        if url == "b":
            raise OSError("the site is away")

    with make_client().job(name) as job:
        for url in job.todo("abc"):
            try:
                with job.item(url):
                    fetch(url)
            except OSError:
                pass
        job.pause()
    assert look.counts(name) == ({"items": 2}, 2)
    with make_client(spool=None).job(name) as job:
        assert list(job.todo("abc")) == ["b"]


@pytest.mark.parametrize("spool", [True, False], ids=["same machine", "another machine"])
def test_after_a_crawl_that_completed_with_an_item_open_only_that_is_left_to_do(
    make_client: "Make", name: str, look: "Look", *, spool: bool
) -> None:
    """The others do not count again."""
    urls = [f"u{number}" for number in range(20)]
    kept: dict[str, Any] = {} if spool else {"spool": None}
    for run in range(3):
        with make_client(**kept).job(name) as job:
            left = list(job.todo(urls))
            assert left == [urls, ["u3"], []][run]
            for url in left:
                with suppress(OSError), job.item(url, "pages"):
                    if url == "u3" and not run:
                        raise OSError("the site is away")
        assert look(name)["status"] == "finished"
        assert look.counts(name)[0] == {"pages": 20 if run else 19}
    assert "doneBeyond" not in look(name)["progress"]
