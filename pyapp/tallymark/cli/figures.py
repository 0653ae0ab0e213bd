"""What is told of jobs beside what they hold: rates, and which of them stall."""

from collections.abc import Iterable, Sequence

from tallymark import functions
from tallymark.functions.call import Connection, Json
from tallymark.functions.errors import JobNotFound
from tallymark.functions.stats import StalledJob

#: A rate is a query of its own, which reads some minutes of a ledger: so many at most for one table.
MOST_RATES = 50


def read_rate(connection: Connection, job_id: str) -> Json | None:
    """Ask how fast a job is going.

    Args:
        connection: Where to ask.
        job_id: The job.

    Returns:
        As `job_rate` gives it; None where the job is gone.
    """
    try:
        return functions.job_rate(connection, job_id)
    except JobNotFound:
        return None


def read_rates(connection: Connection, jobs: Iterable[Json]) -> dict[str, Json]:
    """Ask how fast jobs are going: those that run, and no more than the first `MOST_RATES` of these.

    Args:
        connection: Where to ask.
        jobs: The jobs that are shown.

    Returns:
        The rates, as `job_rate` gives them, by job.
    """
    running = [job["id"] for job in jobs if job["status"] == "running"][:MOST_RATES]
    return {job_id: rate for job_id in running if (rate := read_rate(connection, job_id)) is not None}


def read_stalled(connection: Connection, jobs: Sequence[Json]) -> dict[str, StalledJob]:
    """Ask which jobs stall, in one query.

    Args:
        connection: Where to ask.
        jobs: The jobs that are shown.

    Returns:
        Those of them that stall, by job. Where thousands do, these are found among the longest silent ones alone.
    """
    running = [job["id"] for job in jobs if job["status"] == "running"]
    if not running:
        return {}
    # Only jobs whose ids begin as all of these do need be looked at.
    found = functions.stalled_jobs(connection, id_prefix=_common_beginning(min(running), max(running)))
    wanted = set(running)
    return {item.id: item for item in found if item.id in wanted}


def _common_beginning(first: str, last: str) -> str:
    """Give what two texts begin with; and so all texts that stand between them."""
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[:same]
