"""Crawlers that report in SQL, to any node, and jobs whose old events are pruned meanwhile."""

import json
import random
import threading
import time
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from tests.faults.crawlers import PATIENCE_SECONDS, Crawler, Tally
from tests.faults.updates import Post

from tallymark.functions.errors import is_refusal

Connection = psycopg.Connection[Any]

#: What a caller in SQL sends its update again after, beside class 08 and a connection that broke, which has none:
#: docs/scaling.md names these. 57014 and 55P03 are its own limits.
AGAIN = frozenset(("57P01", "57P02", "57P03", "XX000", "42P01", "23505", "40P01", "40001", "57014", "55P03"))
#: The mean pause between two calls of a crawler, and how long it waits for an answer: a cluster on one machine is slow.
THINK_SECONDS = 0.15
ANSWER_SECONDS = 10.0
_OPTIONS = f"-c statement_timeout={int(1000 * ANSWER_SECONDS)}"
#: invalid_text_representation: the body is no JSON.
_NO_JSON = "22P02"


class Session:
    """A connection to one of several nodes; where it breaks, the next one is to any of them."""

    def __init__(self, urls: tuple[str, ...], tally: Tally, chance: random.Random) -> None:
        """Take the URLs of the nodes, what counts, and what chooses."""
        self._urls = urls
        self._tally = tally
        self._chance = chance
        self._connection: Connection | None = None

    def execute(self, query: str, *values: object) -> list[tuple[Any, ...]] | None:
        """Run a statement by itself, and return its rows; None where it must be run again. Raises what was refused."""
        try:
            if self._connection is None:
                url = self._chance.choice(self._urls)
                self._connection = psycopg.connect(url, autocommit=True, connect_timeout=5, options=_OPTIONS)
            return self._connection.execute(query.encode(), values).fetchall()
        except psycopg.Error as error:
            if is_refusal(error.sqlstate) or error.sqlstate == _NO_JSON:
                raise
            self._note(error)
        return None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _note(self, error: psycopg.Error) -> None:
        severity = error.diag.severity_nonlocalized or "no connection"
        self._tally.count(f"SQL {severity} {error.sqlstate}")
        if error.sqlstate and error.sqlstate not in AGAIN and not error.sqlstate.startswith("08"):
            self._tally.surprise(f"{error.sqlstate} in SQL: {error}")
        if self._connection is None or self._connection.broken or self._connection.closed:
            self.close()


class HttpCrawler(Crawler):
    """A crawler that reports to an endpoint of the cluster."""

    think_seconds = THINK_SECONDS
    answer_seconds = ANSWER_SECONDS


class SqlCrawler(HttpCrawler):
    """A crawler that calls the stored functions, as a service does."""

    def __init__(self, number: int, urls: tuple[str, ...], tally: Tally, *, seed: int) -> None:
        """Prepare a crawler.

        Args:
            number: Its number.
            urls: The nodes that it may call.
            tally: Counts what happens.
            seed: The seed of its random numbers.
        """
        super().__init__(number, 0, tally, seed=seed)
        self._session = Session(urls, tally, self.random)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def send(self, post: Post) -> tuple[int, bytes] | None:
        """Call a function once; see `Crawler.send`."""
        try:
            answer = self._call(post)
        except psycopg.Error as error:
            return int((error.sqlstate or "").replace(_NO_JSON, "TK400")[2:]), json.dumps(str(error)).encode()
        return None if answer is None else (200, json.dumps(answer).encode())

    def _call(self, post: Post) -> Any:  # noqa: ANN401 - any JSON
        """Call one of the functions that take such updates, and return what HTTP would answer."""
        run = self._session.execute
        first = post.updates[0]
        is_good = all(sent.refusal is None for sent in post.updates)
        if not post.batch:
            if is_good and first.header_key is None:
                rows = run("SELECT tallymark.merge_progress(%s, %s)", first.job, Jsonb(first.payload))
            else:
                rows = run("SELECT tallymark.receive_progress(%s::jsonb, %s)", post.body.decode(), first.header_key)
        elif is_good and self.random.random() < 0.5:
            bodies = [json.dumps(sent.payload) for sent in post.updates]
            rows = run("SELECT answer, refusal FROM tallymark.receive_group(%s::text[]::jsonb[], wait => true)", bodies)
            if rows is not None:
                assert all(refusal is None for _answer, refusal in rows), rows
                return [answer for answer, _refusal in rows]
        elif is_good and self.random.random() < 0.5:
            rows = run("SELECT tallymark.merge_progress_batch(%s::jsonb)", post.body.decode())
        else:
            rows = run("SELECT tallymark.receive_progress(%s::jsonb)", post.body.decode())
        return None if rows is None else rows[0][0]


class PrunedJob(threading.Thread):
    """A job whose items one thread counts, each once by number and once by key, and whose oldest events it folds.

    Attributes:
        job: Its id.
        counted: How many updates were acknowledged.
        folded: How many events were folded.
    """

    def __init__(self, number: int, urls: tuple[str, ...], tally: Tally, *, seed: int) -> None:
        """Prepare it; the arguments are those of a `SqlCrawler`."""
        super().__init__(name=f"pruned {number}", daemon=True)
        self.job = self.name
        self.counted = 0
        self.folded = 0
        self._tally = tally
        self._end = threading.Event()
        self._patience = PATIENCE_SECONDS
        self._random = random.Random(f"{seed} {self.name}")
        self._session = Session(urls, tally, self._random)

    def end(self, patience: float) -> None:
        """Let it end after its next acknowledgement, for which it waits so many seconds."""
        self._patience = patience
        self._end.set()

    def run(self) -> None:
        """Count until told to end."""
        try:
            while not self._end.wait(self._random.expovariate(1 / THINK_SECONDS)):
                number = self.counted + 1
                update = {
                    "updateId": str(number),
                    "timestamp": f"2025-01-06T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z",
                    "itemsByType": {"pages": 1},
                    "itemKeys": {"files": [str(number), str(number - 1)]},
                }
                if self._until_answered("SELECT tallymark.merge_progress(%s, %s)", self.job, Jsonb(update)) is None:
                    return
                self.counted = number
                if number % 20 == 0:
                    told = self._until_answered("SELECT tallymark.prune_job(%s, 'infinity', 3, 10)", self.job)
                    self.folded += told["events"] if told else 0
        except Exception as error:
            self._tally.surprise(f"{self.name} failed: {error!r}")
            raise
        finally:
            self._session.close()

    def _until_answered(self, query: str, *values: object) -> Any:  # noqa: ANN401 - any JSON
        """Run a statement until it is answered, and return the answer; None if that took too long."""
        began, give_up_at = time.monotonic(), float("inf")
        while (rows := self._session.execute(query, *values)) is None:
            if self._end.is_set():
                give_up_at = min(give_up_at, time.monotonic() + self._patience)
                if time.monotonic() > give_up_at:
                    self._tally.surprise(f"{self.name} was never answered")
                    return None
            time.sleep(self._random.uniform(0.02, 0.1))
        self._tally.waited(time.monotonic() - began)
        return rows[0][0]
