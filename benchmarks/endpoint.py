"""The endpoint with its merge against an endpoint that does nothing, and how long a crawler waits for its answer."""

import os
import secrets
from contextlib import ExitStack

from benchmarks.database import Database
from benchmarks.empty_app import PATH as EMPTY_PATH
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.load import Answers, Load, wrk
from benchmarks.pgbench import BenchmarkError
from benchmarks.ratios import Spread, compare
from benchmarks.serving import PRODUCT, serving

JOBS = 1_000
PATH = "/api/internal/jobs/progress"
CONNECTIONS = 16
MANY_CONNECTIONS = 200

_PREFIX = "web_"


class _Tally:
    """All answers of the real endpoint, to be compared with what is in the database."""

    def __init__(self) -> None:
        self.answers: list[Answers] = []

    def run(self, load: Load, connections: int, seconds: int) -> Answers:
        """Run a load, and keep what came back."""
        answers = load.run(connections, seconds)
        self.answers.append(answers)
        return answers

    def notes(self, database: Database, before: int) -> tuple[str, ...]:
        """Say whether each acknowledged update is in the database once."""
        good = sum(answers.good for answers in self.answers)
        unanswered = sum(answers.sent - answers.good - answers.later - answers.other for answers in self.answers)
        other = sum(answers.later + answers.other for answers in self.answers)
        errors = sum(answers.errors for answers in self.answers)
        counted = _events(database) - before
        verified = database.value(
            "SELECT count(*) FROM generate_series(1, 50) AS n WHERE tallymark.verify_job(%s || n)", _PREFIX
        )
        example = next((f", such as {answers.example}" for answers in self.answers if answers.example), "")
        return (
            f"acknowledged with 200: {good:,}; the jobs' last_seq grew by {counted:,}, which is "
            + ("the same" if counted == good else f"NOT THE SAME: {counted - good:+,}"),
            f"other answers: {other:,}{example}; unanswered: {unanswered:,}; broken connections: {errors:,}",
            f"verify_job is true for {verified} of 50 jobs",
        )


def endpoint(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the endpoint on 1,000 jobs, over 16 and 200 connections that are kept open.

    Returns:
        The figures `endpoint`, `endpoint_p99_16` and `endpoint_p99_200`, the latter two in milliseconds; none without
        wrk.
    """
    try:
        wrk()
    except BenchmarkError as error:
        say(f"NOT MEASURED: {error}")
        return []
    jobs = plan.size(JOBS)
    database.value("SELECT bench.make_jobs(%s, %s)", _PREFIX, jobs)
    database.settle()
    before = _events(database)
    token = secrets.token_urlsafe(24)
    tally = _Tally()
    waits: list[float] = []
    environ = os.environ | {"DATABASE_URL": database.url, "CRAWLER_API_TOKEN": token}
    with ExitStack() as servers:
        real_url = servers.enter_context(serving(PRODUCT, environ)).url
        empty_url = servers.enter_context(serving("benchmarks.empty_app:empty_app", environ)).url
        real_load = Load(real_url + PATH, token, _PREFIX, jobs)
        empty_load = Load(empty_url + EMPTY_PATH, token, _PREFIX, jobs)

        def real(pair: int) -> float:
            answers = tally.run(real_load, CONNECTIONS, plan.seconds)
            if pair:
                waits.append(answers.p99_ms)
            return answers.per_second

        def empty(_pair: int) -> float:
            answers = empty_load.run(CONNECTIONS, plan.seconds)
            if answers.other or not answers.good:
                raise BenchmarkError(f"the empty endpoint does not work: {answers}")
            return answers.per_second

        comparison = compare(real, empty, plan.pairs, say)
        many_waits: list[float] = []
        for run in range(1, plan.pairs + 1):
            many_waits.append(tally.run(real_load, MANY_CONNECTIONS, plan.seconds).p99_ms)
            say(f"{MANY_CONNECTIONS} connections, run {run} of {plan.pairs}: p99 {many_waits[-1]:.1f} ms")
    what = f"the endpoint / one that does nothing, {jobs:,} jobs, {CONNECTIONS} connections"
    notes = (comparison.speeds, *tally.notes(database, before))
    return [
        Figure("endpoint", what, comparison.ratios, Goal(0.60), notes),
        _wait("endpoint_p99_16", CONNECTIONS, waits),
        _wait("endpoint_p99_200", MANY_CONNECTIONS, many_waits),
    ]


def _wait(name: str, connections: int, waits: list[float]) -> Figure:
    what = f"p99 of the endpoint's latency over {connections} connections, in ms"
    return Figure(name, what, Spread(tuple(waits)), Goal(200, at_most=True))


def _events(database: Database) -> int:
    return int(database.value("SELECT sum(last_seq) FROM tallymark.job WHERE starts_with(id, %s)", _PREFIX))
