"""Servers are killed and connections are cut, hundreds of times: what was acknowledged counts, and counts once.

TALLYMARK_TEST_FAULTS=40 makes a shorter run, TALLYMARK_TEST_SEED=1 repeats the faults of an earlier one.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest

from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres

from .crawlers import PATIENCE_SECONDS, TOKEN, Crawler, Tally
from .ledger import check_jobs, check_ledger, keys_of
from .nemesis import PLAN, Nemesis, SingleNemesis, planned
from .proxy import Proxy
from .servers import CLI, WebServer
from .updates import BATCH_SHARE, CUMULATIVE_JOBS, JOBS

CRAWLERS = 16
FAULTS = int(os.environ.get("TALLYMARK_TEST_FAULTS", "0")) or sum(PLAN.values())
_REPORT_SECONDS = 5.0
#: How the names of the statements begin that merge one update, and several.
_MERGING = (b"tallymark_receive_progress", b"tallymark_receive_group")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Progress:
    """Prints the progress every few seconds; ends the run at the first broken promise."""

    def __init__(self, tally: Tally, nemesis: Nemesis, faults: int) -> None:
        """Begin now.

        Args:
            tally: What the crawlers count in.
            nemesis: Who does the faults.
            faults: How many there will be.
        """
        self._tally = tally
        self._nemesis = nemesis
        self._faults = faults
        self._start = self._next = time.monotonic()

    def look(self) -> None:
        """Print the progress."""
        assert not self._tally.surprises, "\n".join(self._tally.surprises[:20])
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _REPORT_SECONDS
            counts = self._tally.counts
            _say(
                f"{time.monotonic() - self._start:5.0f} s: {self._nemesis.done.total()} of {self._faults} faults, "
                f"{counts['requests']} requests, {counts['acknowledged']} acknowledged, {counts['retries']} retries"
            )


@contextmanager
def _crawling(port: int, tally: Tally, seed: int) -> Iterator[list[Crawler]]:
    """Let crawlers report in the block, and wait at its end until each has its answers."""
    crawlers = [Crawler(number, port, tally, seed=seed) for number in range(CRAWLERS)]
    for crawler in crawlers:
        crawler.start()
    # After a failure the servers may be down for good.
    patience = 0.0
    try:
        yield crawlers
        patience = PATIENCE_SECONDS
    finally:
        for crawler in crawlers:
            crawler.end(patience)
        for crawler in crawlers:
            crawler.join(120)
            if crawler.is_alive():
                tally.surprise(f"{crawler.name} does not end")


def _register(port: int, postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as db:
        assert db.execute("SHOW fsync").fetchone() == ("on",)
        for job in JOBS:
            attributes = '{"counting": "cumulative"}' if job in CUMULATIVE_JOBS else "{}"
            db.execute("SELECT tallymark.create_job(%s, %s)", [job, attributes])
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/api/internal/jobs/crawl%2000", headers={"Authorization": f"Bearer {TOKEN}"})
    assert connection.getresponse().status == 200, "the endpoint works before anything is broken"
    connection.close()


def _show(title: str, counts: dict[str, int]) -> None:
    _say(f"\n{title}")
    for name, count in sorted(counts.items()):
        _say(f"  {name:<50}{count:>8}")


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_what_was_acknowledged_counts_once_whatever_is_killed_or_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """16 crawlers on 20 jobs through hundreds of faults; then the ledger, the totals and `tallymark verify`."""
    seed = int(os.environ.get("TALLYMARK_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    plan = planned(FAULTS)
    tally = Tally()
    with (
        capsys.disabled(),
        EmbeddedPostgres(tmp_path / "data") as postgres,
        Proxy(
            postgres.port,
            # The message Bind, with the name of the statement; what it answers are acknowledgements.
            is_request=lambda chunk: chunk[:1] == b"B" and any(name in chunk for name in _MERGING),
            is_success=lambda chunk: b'"received"' in chunk,
            seed=seed,
        ) as to_postgres,
    ):
        _say(f"\n{sum(plan.values())} faults with TALLYMARK_TEST_SEED={seed}")
        migrate(postgres.url)
        web = WebServer(postgres.url.replace(f":{postgres.port}/", f":{to_postgres.port}/"), tmp_path / "web.log")
        with Proxy(
            web.port,
            is_request=lambda chunk: chunk.startswith(b"POST "),
            is_success=lambda chunk: chunk.startswith(b"HTTP/1.1 200"),
            seed=seed,
        ) as to_web:
            try:
                web.start()
                _register(to_web.port, postgres)
                nemesis = SingleNemesis(web, postgres, to_web, to_postgres)
                with _crawling(to_web.port, tally, seed) as crawlers:
                    nemesis.rage(plan, seed, Progress(tally, nemesis, sum(plan.values())).look)
                _show("faults", nemesis.done | nemesis.notes)
            finally:
                _show("crawlers", tally.counts)
                web.stop()
        _say(f"\nconnections cut: {to_web.cuts} crawler-web, {to_postgres.cuts} web-postgres")
        assert not tally.surprises, "\n".join(tally.surprises[:20])
        _check(postgres.url, crawlers)
        assert dict(nemesis.done) == plan
        assert "Traceback" not in web.log.read_text(), "nothing went wrong that was not expected to"
        _check_that_faults_bit(tally, plan)


def _check(url: str, crawlers: list[Crawler]) -> None:
    sent = [one for crawler in crawlers for one in crawler.notebook.sent]
    with psycopg.connect(url, autocommit=True) as db:
        keys = keys_of(db, sent)
        landed = check_ledger(db, keys)
        check_jobs(db, landed, keys)
        unheard = sum(one.seq is None for updates in landed.values() for one in updates)
        _say(f"in the ledger: {sum(map(len, landed.values()))} updates, of which {unheard} were given up unheard")
    verified = subprocess.run(
        [*CLI, "verify", "--database-url", url], capture_output=True, text=True, timeout=600, check=False
    )
    _say(verified.stdout.strip())
    assert (verified.returncode, verified.stdout) == (0, f"{len(JOBS)} jobs checked, 0 differ\n"), verified.stderr


def _check_that_faults_bit(tally: Tally, plan: dict[str, int]) -> None:
    """Check that the faults had an effect: without that, a run would prove nothing."""
    counts = tally.counts
    # A few of the requests that were cut are needless repeats, or their crawlers give up.
    assert counts["duplicates: it had landed unheard"] >= plan["crawler-web cut: AFTER"] // 2
    # The endpoint's own second attempt gets a duplicate as its answer, and passes it on.
    assert counts["duplicates: a first try"] >= plan["web-postgres cut: AFTER"] // 4
    assert counts["retries"] >= sum(plan.values()) // 2
    assert counts["answer 503"] > 0
    assert counts["no answer: TimeoutError"] > 0
    assert counts["refused"] > 0
    assert counts["batches"] > 0 or not BATCH_SHARE
