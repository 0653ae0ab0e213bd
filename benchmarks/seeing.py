"""Holds what open pages were sent against what was committed."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

#: The updates of a job that were committed: their numbers, and when, in seconds.
Commits = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What pages have seen.

    Attributes:
        expected: Of how many events the pages of jobs should have been told, counted for each page.
        once: Of how many they were told exactly once.
        repeated: Of how many more than once.
        job_delays: From the commit to the page of the job, in ms, for each of these.
        row_delays: From the commit to the first row of an overview with that update in it, in ms.
        rows_missing: How many updates no row ever had in it, of jobs that the overview shows.
    """

    expected: int
    once: int
    repeated: int
    job_delays: tuple[float, ...]
    row_delays: tuple[float, ...]
    rows_missing: int

    @property
    def share(self) -> float:
        """The share of the events of which pages were told exactly once."""
        return self.once / self.expected if self.expected else 0.0


def commits(updates: Sequence[Sequence[Any]]) -> Commits:
    """Sort updates by their jobs.

    Args:
        updates: [job, seq, time] each.

    Returns:
        For each job its numbers and times.
    """
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for job, seq, at in updates:
        found[job][seq] = at
    return found


def compare_pages(pages: Sequence[tuple[str | None, Sequence[Sequence[Any]]]], committed: Commits) -> Seen:
    """Find each committed update on the pages.

    Args:
        pages: Of each page which job it shows, None for the overview, and what it has seen: [seq, time] of events of a
            job, [job, lastSeq, time] of rows of the overview.
        committed: What was committed.

    Returns:
        What the pages have seen of that.
    """
    expected = once = repeated = missing = 0
    job_delays: list[float] = []
    row_delays: list[float] = []
    for job, seen in pages:
        if job is None:
            missing += _rows(seen, committed, row_delays)
            continue
        times = dict(reversed([(seq, at) for seq, at in seen]))
        told = Counter(seq for seq, _ in seen)
        wanted = committed.get(job, {})
        expected += len(wanted)
        once += sum(told[seq] == 1 for seq in wanted)
        repeated += sum(told[seq] > 1 for seq in wanted)
        job_delays.extend((times[seq] - at) * 1000 for seq, at in wanted.items() if seq in times)
    return Seen(expected, once, repeated, tuple(job_delays), tuple(row_delays), missing)


def _rows(seen: Sequence[Sequence[Any]], committed: Commits, delays: list[float]) -> int:
    """Add the delays of one overview, and return how many updates are missing in it."""
    shown: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for job, last_seq, at in seen:
        shown[job].append((last_seq, at))
    missing = 0
    for job, rows in shown.items():
        numbers = [last_seq for last_seq, _ in rows]
        for seq, at in committed.get(job, {}).items():
            place = bisect_left(numbers, seq)
            if place < len(rows):
                delays.append((rows[place][1] - at) * 1000)
            else:
                missing += 1
    return missing


def p95(values: Sequence[float]) -> float:
    """Return what 95 % of the values stay below.

    Args:
        values: Any number of them.

    Returns:
        It; infinity where there are none, since what was never seen took as long as that.
    """
    if not values:
        return float("inf")
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
