"""One side of a comparison over HTTP: a web server, its jobs, and everything that it answered."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from benchmarks.cpu import Cpu, CpuClock, details, line
from benchmarks.database import Database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Plan
from benchmarks.load import Answers, Load
from benchmarks.serving import PRODUCT, Server, serving
from benchmarks.trees import THIS, Tree

PATH = "/api/internal/jobs/progress"


@dataclass(slots=True)
class Slices:
    """What the slices of one comparison gave; the first one of each does not count.

    Attributes:
        p99_ms: The p99 of the latency, in milliseconds.
        cpu: What an update cost, in microseconds.
    """

    p99_ms: list[float] = field(default_factory=list)
    cpu: list[Cpu] = field(default_factory=list)

    def notes(self, name: str) -> tuple[str, ...]:
        """Say what they gave, for people."""
        return (f"p99, {name}: {median(self.p99_ms):.1f} ms; {line(name, self.cpu)}",)

    def details(self, name: str) -> dict[str, tuple[float, ...]]:
        """Return all of it, for `--json`."""
        return {f"{name}_p99_ms": tuple(self.p99_ms), **details(name, self.cpu)}


class Side:
    """A web server under load, with the jobs that are reported on."""

    def __init__(
        self, server: Server, database: Database, token: str, jobs: tuple[str, int], *, path: str = PATH
    ) -> None:
        """Take a server and its database; `jobs` is the prefix of the jobs' ids, and how many there are."""
        self._database = database
        self._load = Load(server.url + path, token, *jobs)
        self._clock = CpuClock(server.pid, database)
        self._prefix = jobs[0]
        self._before = self._events()
        self._answers: list[Answers] = []

    def over(self, connections: int, plan: Plan) -> tuple[Callable[[int], float], Slices]:
        """Make a side for `compare`, over so many connections.

        Returns:
            The function that runs a slice and returns updates a second, and what its slices give besides.
        """
        slices = Slices()

        def run(pair: int) -> float:
            before = self._clock.read()
            answers = self._load.run(connections, plan.seconds)
            after = self._clock.read()
            self._answers.append(answers)
            if not answers.good:
                raise BenchmarkError(f"no update was answered with 200: {answers}")
            if pair:
                slices.p99_ms.append(answers.p99_ms)
                slices.cpu.append(after.each(before, answers.good))
            return answers.per_second

        return run, slices

    def nothing_else(self) -> None:
        """Check that there was no answer but 200.

        Raises:
            BenchmarkError: There was one.
        """
        for answers in self._answers:
            if answers.later or answers.other:
                raise BenchmarkError(f"the endpoint does not work: {answers}")

    def tally(self) -> tuple[str, ...]:
        """Say whether each acknowledged update is in the database once."""
        good = sum(answers.good for answers in self._answers)
        later = sum(answers.later for answers in self._answers)
        other = sum(answers.other for answers in self._answers)
        unanswered = sum(answers.sent - answers.good for answers in self._answers) - later - other
        errors = sum(answers.errors for answers in self._answers)
        counted = self._events() - self._before
        checked, verified = self._database.connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE tallymark.verify_job(id)) FROM"
            " (SELECT id FROM tallymark.job WHERE starts_with(id, %s) ORDER BY id LIMIT 50) AS j",
            [self._prefix],
        ).fetchone() or (0, 0)
        example = next((f", such as {answers.example}" for answers in self._answers if answers.example), "")
        lost = f"unanswered: {unanswered:,}; broken connections: {errors:,}"
        return (
            f"acknowledged with 200: {good:,}; the jobs' last_seq grew by {counted:,}, which is "
            + ("the same" if counted == good else f"NOT THE SAME: {counted - good:+,}"),
            f"503 with Retry-After: {later:,}; other answers: {other:,}{example}; {lost}",
            f"verify_job is true for {verified} of {checked} jobs",
        )

    def _events(self) -> int:
        query = "SELECT coalesce(sum(last_seq), 0) FROM tallymark.job WHERE starts_with(id, %s)"
        return int(self._database.value(query, self._prefix))


@contextmanager
def product(
    database: Database, jobs: tuple[str, int], tree: Tree = THIS, environ: Mapping[str, str] | None = None
) -> Iterator[Side]:
    """Make jobs, and run the product's web server of a tree for them."""
    database.value("SELECT bench.make_jobs(%s, %s)", *jobs)
    database.settle()
    token = secrets.token_urlsafe(24)
    told = {**os.environ, **(environ or {}), "DATABASE_URL": database.url, "CRAWLER_API_TOKEN": token}
    with serving(PRODUCT, told, tree) as server:
        yield Side(server, database, token, jobs)
