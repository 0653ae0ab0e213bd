"""A crawler and its server are killed again and again, and answers are lost: no item is lost, none counts twice.

TALLYMARK_TEST_ROUNDS=40 sets the number of rounds, TALLYMARK_TEST_SEED=1 repeats the order of an earlier run.
"""

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.faults.crawlers import TOKEN
from tests.faults.proxy import Cut, Proxy
from tests.faults.servers import WebServer, kill

CRAWLER = Path(__file__).with_name("crawler.py")
TYPES = ("groups", "projects", "issues")
ENDLESS = 10**9
JOB = "the crawl"
ROUNDS = int(os.environ.get("TALLYMARK_TEST_ROUNDS", "200"))
#: A lost answer is the worst fault: the update took effect, and the client does not know.
CUTS = [Cut.AFTER] * 4 + [Cut.BEFORE, Cut.PARTLY]
_UPDATE_ID = re.compile(rb'"updateId": ?"([^"]+)"')
_DUPLICATE = re.compile(rb'"duplicate": ?true')


class Eavesdropper:
    """Watches the proxy, and counts repeated updates and duplicates."""

    def __init__(self) -> None:
        """Start empty."""
        self.sent: Counter[bytes] = Counter()
        self.duplicates = 0

    def is_request(self, chunk: bytes) -> bool:
        """Note a request of the client; return whether it may be cut."""
        self.sent.update(_UPDATE_ID.findall(chunk))
        return chunk.startswith(b"POST ")

    def is_success(self, chunk: bytes) -> bool:
        """Note an answer of the server; return whether it may be lost."""
        self.duplicates += len(_DUPLICATE.findall(chunk))
        return chunk.startswith(b"HTTP/1.1 200") and b'"received"' in chunk

    @property
    def resent(self) -> int:
        """How many updates were sent more than once."""
        return self.sent.total() - len(self.sent)


class Crawl:
    """The crawler's process, which is started again and again, and its journal."""

    def __init__(self, port: int, directory: Path) -> None:
        """Prepare; nothing is started yet."""
        self.journal = directory / "journal"
        self._errors = directory / "errors"
        self._spool = directory / "spool"
        self._url = f"http://127.0.0.1:{port}"

    @contextmanager
    def running(self, more: int, seed: int) -> Iterator[subprocess.Popen[bytes]]:
        """Run the crawler, and kill it at the end of the block."""
        with self._errors.open("ab") as errors:
            process = subprocess.Popen(
                [
                    *(sys.executable, str(CRAWLER), self._url, TOKEN, str(self._spool), JOB),
                    *(str(self.journal), str(more), str(seed)),
                ],
                stderr=errors,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def lines(self) -> list[list[str]]:
        """Read the journal."""
        return [line.split() for line in self.journal.read_text().splitlines()] if self.journal.exists() else []

    def wait_until_it_goes_on(self, patience: float) -> None:
        """Wait until a run that was just started has crawled an item, or the time is over."""
        begun = len(self.lines())
        give_up = time.monotonic() + patience
        while len(self.lines()) == begun and time.monotonic() < give_up:
            time.sleep(0.02)

    def check(self) -> Counter[str]:
        """Check that no restart fell behind a flush that had returned; count the lines of the journal."""
        flushed = 0
        counts: Counter[str] = Counter()
        for what, number, *rest in self.lines():
            if what == "resumed":
                assert int(number) >= flushed, (
                    f"item {flushed} was flushed, and the crawl went on after {number} ({rest})"
                )
            flushed = max(flushed, int(number))
            counts[" ".join([what, *rest])] += 1
        return counts

    def complaints(self) -> str:
        """Return the tracebacks in its output."""
        text = self._errors.read_text()
        return text[text.index("Traceback") :][:3000] if "Traceback" in text else ""


def _cut_now_and_then(proxy: Proxy, chance: random.Random, over: threading.Event) -> None:
    while not over.is_set():
        proxy.cut(chance.choice(CUTS), chance.choice([1, 1, 2]), 0.5)
        over.wait(chance.uniform(0.0, 0.4))


@contextmanager
def _cutting(proxy: Proxy, seed: int) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=_cut_now_and_then, args=(proxy, random.Random(seed), over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _kill_web(web: WebServer) -> None:
    processes = web.processes()
    kill(processes)
    web.wait_for_the_end(processes)


def _rounds(crawl: Crawl, web: WebServer, chance: random.Random, rounds: int) -> Counter[str]:
    """Kill the crawler in every round and the server in every fifth; return how often."""
    done: Counter[str] = Counter()
    for number in range(rounds):
        with crawl.running(ENDLESS, chance.randrange(10**6)) as process:
            if number % 5 == 2 and web.is_running():
                time.sleep(chance.uniform(0.2, 0.6))
                _kill_web(web)
                done["web"] += 1
                if chance.random() < 0.5:
                    # A full round, or the rest of this one, without the server.
                    time.sleep(chance.uniform(0.0, 0.5))
                else:
                    web.start()
            if chance.random() < 0.8:
                crawl.wait_until_it_goes_on(1.2)
            time.sleep(chance.uniform(0.0, 0.4))
            assert process.poll() is None, f"the crawler ended by itself: {crawl.complaints()}"
        done["crawler"] += 1
        if not web.is_running() and number % 5 != 2:
            web.start()
    if not web.is_running():
        web.start()
    return done


def _check_job(url: str, items: int) -> int:
    """Compare the database with what was crawled; return the job's last seq."""
    expected = {TYPES[kind]: len(range(kind or 3, items + 1, 3)) for kind in range(3)}
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute("SELECT status, progress, last_seq FROM tallymark.job WHERE id = %s", [JOB]).fetchone()
        assert row is not None
        status, progress, last_seq = row
        assert progress["itemsByType"] == expected
        assert progress["processedItems"] == items
        assert progress["lastProcessedId"] == str(items)
        assert status == "finished"
        seqs = db.execute("SELECT seq FROM tallymark.job_event WHERE job_id = %s ORDER BY seq", [JOB]).fetchall()
        assert [seq for (seq,) in seqs] == list(range(1, last_seq + 1)), "gapless"
        assert db.execute("SELECT tallymark.verify_job(%s)", [JOB]).fetchone() == (True,)
    return int(last_seq)


def _is_left(directory: Path) -> list[str]:
    return [path.name for path in (directory / "spool").iterdir()]


def _lose_nothing(url: str, directory: Path, rounds: int, record: Callable[[str, Any], None]) -> None:
    seed = int(os.environ.get("TALLYMARK_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    chance = random.Random(seed)
    ear = Eavesdropper()
    web = WebServer(url, directory / "web.log")
    with ExitStack() as stack:
        stack.callback(web.stop)
        web.start()
        proxy = stack.enter_context(Proxy(web.port, is_request=ear.is_request, is_success=ear.is_success, seed=seed))
        crawl = Crawl(proxy.port, directory)
        try:
            with _cutting(proxy, seed):
                done = _rounds(crawl, web, chance, rounds)
            with crawl.running(50, seed) as process:
                assert process.wait(60) == 0, crawl.complaints()
            counts = crawl.check()
            items = int(crawl.lines()[-1][1])
            assert counts["done"] == 1
            updates = _check_job(url, items)
        except BaseException:
            record("seed", seed)
            sys.stderr.write(f"TALLYMARK_TEST_SEED={seed}\n{(directory / 'errors').read_text()[-3000:]}\n")
            raise
    assert crawl.complaints() == ""
    assert _is_left(directory) == [], "a crawl that is completed and delivered leaves nothing in the spool"
    assert "Traceback" not in web.log.read_text()
    # Otherwise the run would prove little.
    assert proxy.cuts >= rounds // 4
    assert ear.duplicates > 0 or rounds < 40
    record(
        "figure",
        f"{items} items in {updates} updates in {rounds} rounds (seed {seed}), {done['crawler']} kills of the crawler, "
        f"{done['web']} of the server, {proxy.cuts} cuts, {ear.resent} sent again, {ear.duplicates} duplicates, "
        f"journal {json.dumps(dict(sorted(counts.items())))}: none lost, none counted twice",
    )


def test_a_crawler_that_is_killed_at_any_moment_loses_nothing_and_counts_nothing_twice(
    db_url: str, tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    """A few rounds; `make test-faults` runs many."""
    _lose_nothing(db_url, tmp_path, 8, record_property)


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_a_crawler_that_is_killed_hundreds_of_times_loses_nothing_and_counts_nothing_twice(
    db_url: str, tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    """Kill -9 of the crawler and of the server, and lost answers, at random moments."""
    _lose_nothing(db_url, tmp_path, ROUNDS, record_property)
