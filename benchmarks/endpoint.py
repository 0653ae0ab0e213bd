"""The endpoint with its merge against an endpoint that does nothing, and how long a crawler waits for its answer."""

import os
import secrets
from contextlib import ExitStack

from benchmarks.database import Database
from benchmarks.empty_app import PATH as EMPTY_PATH
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Goal, Plan, Say
from benchmarks.load import wrk
from benchmarks.ratios import Spread, compare
from benchmarks.serving import PRODUCT, serving
from benchmarks.side import Side, Slices

JOBS = 1_000
#: Over how many connections the two endpoints are compared.
CONNECTIONS = (16, 64)
MANY_CONNECTIONS = 200
#: `endpoint` is the older name of `endpoint_16`.
NAMES = ("endpoint", "endpoint_16", "endpoint_64", "endpoint_p99_16", "endpoint_p99_200")
HOT_CONNECTIONS = 16


def endpoint(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the endpoint on 1,000 jobs, over 16, 64 and 200 connections that are kept open.

    Returns:
        The figures of `NAMES`, those with p99 in milliseconds; none without wrk.
    """
    if not has_wrk(say):
        return []
    jobs = ("web_", plan.size(JOBS))
    database.value("SELECT bench.make_jobs(%s, %s)", *jobs)
    database.settle()
    token = secrets.token_urlsafe(24)
    environ = os.environ | {"DATABASE_URL": database.url, "CRAWLER_API_TOKEN": token}
    figures: list[Figure] = []
    with ExitStack() as servers:
        real = Side(servers.enter_context(serving(PRODUCT, environ)), database, token, jobs)
        if plan.wants("endpoint", "endpoint_16", "endpoint_p99_16", "endpoint_64"):
            server = servers.enter_context(serving("benchmarks.empty_app:empty_app", environ))
            empty = Side(server, database, token, jobs, path=EMPTY_PATH)
            for connections in CONNECTIONS:
                names = (f"endpoint_{connections}", f"endpoint_p99_{connections}")
                if plan.wants(*names) or (connections == CONNECTIONS[0] and plan.wants("endpoint")):
                    figures.extend(_against_empty(real, empty, connections, jobs[1], plan, say))
        if plan.wants("endpoint_p99_200"):
            run, slices = real.over(MANY_CONNECTIONS, plan)
            for number in range(1, plan.pairs + 1):
                run(number)
                say(f"{MANY_CONNECTIONS} connections, run {number} of {plan.pairs}: p99 {slices.p99_ms[-1]:.1f} ms")
            figures.append(_wait(MANY_CONNECTIONS, slices, real.tally()))
    return figures


def hot_endpoint(database: Database, plan: Plan, say: Say) -> list[Figure]:
    """Measure the endpoint with 16 connections that all report on one job against 16 over 1,000 jobs.

    Returns:
        The figure `hot_endpoint`; none without wrk.
    """
    if not has_wrk(say):
        return []
    jobs = ("wide_web_", plan.size(JOBS))
    database.value("SELECT bench.make_jobs(%s, %s)", *jobs)
    database.value("SELECT bench.make_jobs('hot_web_', 1)")
    database.settle()
    token = secrets.token_urlsafe(24)
    with serving(PRODUCT, os.environ | {"DATABASE_URL": database.url, "CRAWLER_API_TOKEN": token}) as server:
        hot, wide = Side(server, database, token, ("hot_web_", 1)), Side(server, database, token, jobs)
        one_job, one_slices = hot.over(HOT_CONNECTIONS, plan)
        many_jobs, many_slices = wide.over(HOT_CONNECTIONS, plan)
        comparison = compare(one_job, many_jobs, plan.pairs, say)
    return [
        Figure(
            "hot_endpoint",
            f"the endpoint on one job / over {jobs[1]:,} jobs, {HOT_CONNECTIONS} connections",
            comparison.ratios,
            Goal(0.90),
            (
                comparison.speeds,
                *one_slices.notes("one job"),
                *many_slices.notes(f"{jobs[1]:,} jobs"),
                *hot.tally(),
            ),
            {**one_slices.details("hot"), **many_slices.details("wide")},
        )
    ]


def has_wrk(say: Say) -> bool:
    """Whether there is a load generator.

    Returns:
        False where it is missing, which was then said.
    """
    try:
        wrk()
    except BenchmarkError as error:
        say(f"NOT MEASURED: {error}")
        return False
    return True


def _against_empty(real: Side, empty: Side, connections: int, jobs: int, plan: Plan, say: Say) -> list[Figure]:
    merging, real_slices = real.over(connections, plan)
    doing_nothing, empty_slices = empty.over(connections, plan)
    say(f"{connections} connections")
    comparison = compare(merging, doing_nothing, plan.pairs, say)
    empty.nothing_else()
    what = f"the endpoint / one that does nothing, {jobs:,} jobs, {connections} connections"
    # The empty endpoint asks the database for nothing.
    web_alone = [used._replace(postgres=None) for used in empty_slices.cpu]
    empty_slices.cpu[:] = web_alone
    notes = (comparison.speeds, *real_slices.notes("real"), *empty_slices.notes("empty"), *real.tally())
    measured = {**real_slices.details("real"), **empty_slices.details("empty")}
    figure = Figure(f"endpoint_{connections}", what, comparison.ratios, Goal(0.60), notes, measured)
    if connections != CONNECTIONS[0]:
        return [figure]
    if plan.wants(figure.name):
        notes, measured = notes[:1], {}
    older = Figure("endpoint", f"the older name of {figure.name}: {what}", figure.spread, figure.goal, notes, measured)
    return [older, figure, _wait(connections, real_slices)]


def _wait(connections: int, slices: Slices, notes: tuple[str, ...] = ()) -> Figure:
    what = f"p99 of the endpoint's latency over {connections} connections, in ms"
    spread = Spread(tuple(slices.p99_ms))
    return Figure(f"endpoint_p99_{connections}", what, spread, Goal(200, at_most=True), notes)
