"""Nodes and endpoints of a cluster are killed, and shards move, under load: what was acknowledged counts once.

The servers of the cluster are killed, so it must be one for tests. TALLYMARK_TEST_FAULTS=200 makes a full run,
TALLYMARK_TEST_SEED=1 repeats the faults of an earlier one.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.faults.crawlers import PATIENCE_SECONDS, Crawler, Tally
from tests.faults.ledger import check_jobs, check_ledger, keys_of
from tests.faults.nemesis import planned
from tests.faults.servers import CLI, WebServer, wait_until
from tests.faults.updates import CUMULATIVE_JOBS, JOBS

from tallymark.schema.distribute import check_only, distribute

from .cluster import Database, database, on
from .crawlers import HttpCrawler, PrunedJob, SqlCrawler
from .nemesis import ADDED, PLAN, ClusterNemesis

pytestmark = [pytest.mark.citus, pytest.mark.slow, pytest.mark.timeout(3600)]

FAULTS = int(os.environ.get("TALLYMARK_TEST_FAULTS", "0")) or 20
HTTP_CRAWLERS, SQL_CRAWLERS, PRUNED_JOBS = 6, 4, 2
#: How many updates must be acknowledged between two faults.
_BETWEEN = 30


class Watch:
    """Waits after each fault until updates are acknowledged, and keeps how long crawlers had to wait meanwhile.

    Attributes:
        pauses: The longest pause of a crawler for each kind of fault.
    """

    def __init__(self, tally: Tally, nemesis: ClusterNemesis, faults: int) -> None:
        """Take what the crawlers count in, who does the faults, and how many there will be."""
        self.pauses: dict[str, float] = {}
        self._tally = tally
        self._nemesis = nemesis
        self._faults = faults
        self._start = time.monotonic()
        self._before: Counter[str] = Counter()

    def look(self) -> None:
        """Look at the crawlers after a fault; end the run at the first broken promise."""
        tally, done = self._tally, self._nemesis.done
        enough = tally.counts["acknowledged"] + _BETWEEN
        wait_until(lambda: tally.counts["acknowledged"] >= enough or bool(tally.surprises), "acknowledgements")
        assert not tally.surprises, "\n".join(tally.surprises[:20])
        [kind] = done - self._before
        self._before = done.copy()
        pause, tally.longest_wait = tally.longest_wait, 0.0
        self.pauses[kind] = max(self.pauses.get(kind, 0.0), pause)
        _say(
            f"{time.monotonic() - self._start:5.0f} s: {done.total()} of {self._faults}: {kind}; "
            f"longest pause {pause:.1f} s; {tally.counts['acknowledged']} acknowledged"
        )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def _crawling(
    webs: list[WebServer], urls: tuple[str, ...], tally: Tally, seed: int
) -> Iterator[list[Crawler | PrunedJob]]:
    """Let crawlers report in the block, and wait at its end until each has its answers."""
    crawlers: list[Crawler | PrunedJob] = [
        *(HttpCrawler(number, webs[number % len(webs)].port, tally, seed=seed) for number in range(HTTP_CRAWLERS)),
        *(SqlCrawler(HTTP_CRAWLERS + number, urls, tally, seed=seed) for number in range(SQL_CRAWLERS)),
        *(PrunedJob(number, urls, tally, seed=seed) for number in range(PRUNED_JOBS)),
    ]
    for crawler in crawlers:
        crawler.start()
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


def _register(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        for job in JOBS:
            attributes = '{"counting": "cumulative"}' if job in CUMULATIVE_JOBS else "{}"
            db.execute("SELECT tallymark.create_job(%s, %s)", [job, attributes])
        for number in range(PRUNED_JOBS):
            db.execute("SELECT tallymark.create_job(%s)", [f"pruned {number}"])


def test_what_was_acknowledged_counts_once_whatever_node_is_killed_and_wherever_shards_move(
    tmp_path: Path, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Crawlers report over HTTP and in SQL, to all nodes, while the cluster grows; then ledger, totals and `verify`."""
    seed = int(os.environ.get("TALLYMARK_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    tally = Tally()
    with capsys.disabled(), database(known=0) as made:
        known = min(2, len(made.workers) - 1)
        for number in range(known):
            made.add_worker(number)
        distribute(made.url, shards=8)
        _register(made.url)
        plan = planned(FAULTS, PLAN) | {ADDED: len(made.workers) - known}
        _say(f"\n{sum(plan.values())} faults with TALLYMARK_TEST_SEED={seed}")
        # Of two endpoints, one asks the coordinator, and one a worker.
        urls = made.everywhere[: known + 1]
        webs = [WebServer(url, tmp_path / f"web{number}.log") for number, url in enumerate(urls[:2])]
        try:
            for web in webs:
                web.start()
            nemesis = ClusterNemesis(webs, made, known)
            watch = Watch(tally, nemesis, sum(plan.values()))
            with _crawling(webs, urls, tally, seed) as crawlers:
                nemesis.rage(plan, seed, watch.look)
                nemesis.wait_until_clean()
        finally:
            for name, count in sorted((tally.counts | nemesis.notes).items()):
                _say(f"  {name:<50}{count:>8}")
            for web in webs:
                web.stop()
        assert not tally.surprises, "\n".join(tally.surprises[:20])
        acknowledged = _check(made, crawlers)
        assert dict(nemesis.done) == plan
    for web in webs:
        assert "Traceback" not in web.log.read_text(), "nothing went wrong that was not expected to"
    assert tally.counts["retries"] >= sum(plan.values()) // 2, "without an effect of the faults, this proves nothing"
    for kind, count in nemesis.done.items():
        record_property("figure", f"{count:>4} x {kind}; longest pause {watch.pauses[kind]:.1f} s")
    record_property(
        "figure",
        f"{nemesis.done.total()} faults, {acknowledged} updates acknowledged, 0 lost, 0 doubled, all jobs verify; "
        f"longest pause {max(watch.pauses.values()):.1f} s",
    )


def _check(made: Database, crawlers: list[Crawler | PrunedJob]) -> int:
    """Compare the database with what the crawlers were told, and return how many updates were acknowledged."""
    pruned = [one for one in crawlers if isinstance(one, PrunedJob)]
    sent = [one for crawler in crawlers if isinstance(crawler, Crawler) for one in crawler.notebook.sent]
    with psycopg.connect(made.url, autocommit=True) as db:
        keys = keys_of(db, sent)
        landed = check_ledger(db, keys, others=[one.job for one in pruned])
        check_jobs(db, landed, keys)
        for one in pruned:
            [[document]] = db.execute("SELECT tallymark.get_job(%s, 0)", [one.job]).fetchall()
            assert document["progress"]["itemsByType"] == {"pages": one.counted, "files": one.counted + 1}
            assert document["lastSeq"] == one.counted
            assert one.folded > 0
    verified = subprocess.run(
        [*CLI, "verify", "--database-url", made.url], capture_output=True, text=True, timeout=600, check=False
    )
    count = len(JOBS) + len(pruned)
    assert (verified.returncode, verified.stdout) == (0, f"{count} jobs checked, 0 differ\n"), verified.stderr
    assert [finding for finding in check_only(made.url) if finding.kind != "setting"] == []
    # A move that a kill has ended leaves its copy, which Citus drops.
    wait_until(lambda: on(made.url, "SELECT count(*) FROM pg_dist_cleanup") == [(0,)], "what Citus cleans up")
    return sum(one.seq is not None for one in sent) + sum(one.counted for one in pruned)
