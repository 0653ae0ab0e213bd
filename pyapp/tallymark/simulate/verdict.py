"""The verdict of a run: each job is read back from the server, and compared with what its crawler really did."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tallymark.simulate.crawler import Crawler
from tallymark.simulate.server import Server, ServerError
from tallymark.terminal.text import count

_READERS = 4
#: For how many seconds a server that does not answer is asked again, for all jobs together.
_PATIENCE = 10.0


class Difference(NamedTuple):
    """What a job has counted wrong: which field, what the server has, and what the crawler did."""

    job_id: str
    what: str
    counted: object
    true: object


@dataclass
class Verdict:
    """What came of a run: of so many jobs, `old` had old crawlers, and `checked` were read back.

    `items` were really processed, `waits` counts waits by reason, `chaos` what was sent and what happened to it.
    """

    jobs: int = 0
    checked: int = 0
    old: int = 0
    items: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    chaos: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether all is as it should be."""
        return not self.differences

    def sentence(self) -> str:
        """Return the verdict in a sentence."""
        chaos = self.chaos
        parts = [
            count(self.jobs, "job", ","),
            count(self.items, "item", ","),
            f"{count(chaos['updates'], 'update', ',')} sent",
            f"{count(chaos['answer lost'], 'answer', ',')} lost",
            f"{count(chaos['request lost'], 'request', ',')} lost",
            f"{chaos['twice']:,} sent twice",
            f"{chaos['late']:,} late",
            f"{count(chaos['killed'], 'crawler', ',')} killed",
            *([f"{chaos['moved']:,} of them moved to an empty spool"] if chaos["moved"] else []),
        ]
        wrong = len({difference.job_id for difference in self.differences})
        end = "every count exact" if self.is_exact else f"{count(wrong, 'job', ',')} not exact"
        return f"{', '.join(parts)}: {end}"

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for scripts."""
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
            "moved": chaos["moved"],
            "waits": sum(self.waits.values()),
            "commands": chaos["commands"],
            "differences": [
                {"taskId": each.job_id, "what": each.what, "counted": each.counted, "true": each.true}
                for each in self.differences
            ],
        }


def add_up(crawlers: Sequence[Crawler]) -> Verdict:
    """Add up what crawlers have done so far; nothing is checked yet."""
    verdict = Verdict(jobs=len(crawlers))
    for crawler in list(crawlers):
        verdict.old += crawler.old
        verdict.items += crawler.truth.done
        verdict.waits += crawler.truth.waits
        verdict.statuses[crawler.truth.status if crawler.over else "running"] += 1
        verdict.chaos += Counter(dict(crawler.mischief.counts))
    return verdict


def judge(server: Server, crawlers: Sequence[Crawler], progress: Callable[[Verdict], None]) -> Verdict:
    """Read each job back, and compare; `progress` is called after each."""
    verdict = add_up(crawlers)
    verdict.statuses = Counter(crawler.truth.status for crawler in crawlers)
    progress(verdict)
    give_up = time.monotonic() + _PATIENCE
    with ThreadPoolExecutor(_READERS) as readers:
        for done in as_completed([readers.submit(_compare, server, crawler, give_up) for crawler in crawlers]):
            verdict.differences += done.result()
            verdict.checked += 1
            progress(verdict)
    verdict.differences.sort(key=lambda each: (each.job_id, each.what))
    return verdict


def _compare(server: Server, crawler: Crawler, give_up: float) -> list[Difference]:
    job_id, truth = crawler.plan.job_id, crawler.truth
    found = [Difference(job_id, "crawler", complaint, None) for complaint in truth.complaints]
    if crawler.mischief.counts["refused"]:
        found.append(Difference(job_id, "refused updates", crawler.mischief.counts["refused"], 0))
    if not crawler.over:
        found.append(Difference(job_id, "crawler", "has not come to an end", None))
    try:
        job = server.job(job_id, give_up)
        waits = server.waits(job_id, give_up) if job is not None else {}
    except ServerError as error:
        return [*found, Difference(job_id, "job", str(error), None)]
    if job is None:
        # A crawler that had not sent its first update when the run ended has no job.
        return found if truth.status == "queued" else [*found, Difference(job_id, "job", None, truth.status)]
    progress = job["progress"]
    counted = {
        "status": job["status"],
        "processedItems": progress.get("processedItems") or 0,
        "totalItems": progress.get("totalItems"),
        "lastProcessedId": progress.get("lastProcessedId"),
        "resumeState": job["resumeState"],
        **_by_type(progress.get("itemsByType") or {}),
        **_by_reason(waits),
    }
    true = {
        "status": truth.status,
        "processedItems": crawler.processed,
        "totalItems": truth.total,
        "lastProcessedId": truth.last_id,
        "resumeState": truth.state,
        **_by_type(truth.items_by_type),
        # What a killed crawler had not written to its spool is not known.
        **_by_reason(waits if crawler.mischief.counts["killed"] else truth.waits),
    }
    return found + [
        Difference(job_id, what, counted.get(what), true.get(what))
        for what in counted.keys() | true.keys()
        if counted.get(what) != true.get(what)
    ]


def _by_reason(waits: dict[str, int]) -> dict[str, int]:
    return {f"waits for {reason}": number for reason, number in waits.items()}


def _by_type(counts: dict[str, int]) -> dict[str, int]:
    return {f"itemsByType.{kind}": number for kind, number in counts.items() if number}
