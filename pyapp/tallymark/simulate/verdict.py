"""Whether the server has counted what the crawlers did: each job is read back and compared with the truth."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from tallymark.simulate.crawler import Base
from tallymark.simulate.server import Server, ServerError

_READERS = 4
#: For how many seconds a server that does not answer is asked again, for all jobs together.
_PATIENCE = 10.0


@dataclass(frozen=True)
class Difference:
    """What is not as it should be.

    Attributes:
        job_id: Of which job.
        what: Which field.
        counted: What the server has.
        true: What the crawler did.
    """

    job_id: str
    what: str
    counted: object
    true: object


@dataclass
class Verdict:
    """What came of a run.

    Attributes:
        jobs: How many jobs there were.
        checked: How many of them were read back.
        old: How many of them had old crawlers.
        items: How many items were really processed.
        statuses: How many jobs were left in which status.
        chaos: What was sent, and what happened to it.
        differences: All that is wrong.
    """

    jobs: int = 0
    checked: int = 0
    old: int = 0
    items: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    chaos: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether all is as it should be."""
        return not self.differences

    @property
    def wrong_jobs(self) -> int:
        """How many jobs have something wrong."""
        return len({difference.job_id for difference in self.differences})

    def words(self) -> str:
        """Say it in a sentence."""
        chaos = self.chaos
        told = [
            _counted(self.jobs, "job"),
            _counted(self.items, "item"),
            f"{_counted(chaos['updates'], 'update')} sent",
            f"{_counted(chaos['answer lost'], 'answer')} lost",
            f"{_counted(chaos['request lost'], 'request')} lost",
            f"{chaos['twice']:,} sent twice",
            f"{chaos['late']:,} late",
            f"{_counted(chaos['killed'], 'crawler')} killed",
        ]
        end = "every count exact" if self.is_exact else f"{_counted(self.wrong_jobs, 'job')} not exact"
        return f"{', '.join(told)}: {end}"

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        chaos = self.chaos
        return {
            "exact": self.is_exact,
            "jobs": self.jobs,
            "oldCrawlers": self.old,
            "items": self.items,
            "statuses": dict(sorted(self.statuses.items())),
            "updates": chaos["updates"],
            "answersLost": chaos["answer lost"],
            "requestsLost": chaos["request lost"],
            "sentTwice": chaos["twice"],
            "delayed": chaos["delayed"],
            "late": chaos["late"],
            "killed": chaos["killed"],
            "commands": chaos["commands"],
            "differences": [
                {"taskId": each.job_id, "what": each.what, "counted": each.counted, "true": each.true}
                for each in self.differences
            ],
        }


def judge(server: Server, crawlers: Sequence[Base], progress: Callable[[Verdict], None]) -> Verdict:
    """Read each job back, and compare.

    Args:
        server: Where they are.
        crawlers: Who worked on them, and know the truth.
        progress: Told now and then how far this is.

    Returns:
        The verdict.
    """
    verdict = Verdict(jobs=len(crawlers))
    for base in crawlers:
        verdict.old += base.old
        verdict.items += base.truth.done
        verdict.statuses[base.truth.status] += 1
        verdict.chaos += base.mischief.counts
    progress(verdict)
    give_up = time.monotonic() + _PATIENCE
    with ThreadPoolExecutor(_READERS) as readers:
        for done in as_completed([readers.submit(_compare, server, base, give_up) for base in crawlers]):
            verdict.differences += done.result()
            verdict.checked += 1
            progress(verdict)
    verdict.differences.sort(key=lambda each: (each.job_id, each.what))
    return verdict


def _compare(server: Server, base: Base, give_up: float) -> list[Difference]:
    job_id, truth = base.plan.job_id, base.truth
    found = [Difference(job_id, "crawler", complaint, None) for complaint in truth.complaints]
    if base.mischief.counts["refused"]:
        found.append(Difference(job_id, "refused updates", base.mischief.counts["refused"], 0))
    if not base.over:
        found.append(Difference(job_id, "crawler", "has not come to an end", None))
    try:
        job = server.job(job_id, give_up)
    except ServerError as error:
        return [*found, Difference(job_id, "job", str(error), None)]
    if job is None:
        # A crawler that the end of the run found before its first update has said nothing.
        return found if truth.status == "queued" else [*found, Difference(job_id, "job", None, truth.status)]
    progress = job["progress"]
    counted = {
        "status": job["status"],
        "processedItems": progress.get("processedItems") or 0,
        "totalItems": progress.get("totalItems"),
        "lastProcessedId": progress.get("lastProcessedId"),
        "resumeState": job["resumeState"],
        **_by_type(progress.get("itemsByType") or {}),
    }
    true = {
        "status": truth.status,
        "processedItems": truth.done,
        "totalItems": truth.total,
        "lastProcessedId": truth.last_id,
        "resumeState": truth.state,
        **_by_type(truth.items_by_type),
    }
    return found + [
        Difference(job_id, what, counted.get(what), true.get(what))
        for what in counted.keys() | true.keys()
        if counted.get(what) != true.get(what)
    ]


def _by_type(counts: dict[str, int]) -> dict[str, int]:
    return {f"itemsByType.{kind}": count for kind, count in counts.items() if count}


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
