"""Jobs on which several spiders of this process report: each counts as a worker, and the last one ends the job."""

import threading
from dataclasses import dataclass, field
from itertools import chain, count

from tallymark.scrapy.ends import End, Ending

#: Where the spiders of a job end differently, it ends as the first of these.
_WORST_FIRST: tuple[End, ...] = ("failed", "cancelled", "paused", "completed")
#: The protocol allows 100 characters in the name of a worker.
_LONGEST_STEM = 90


@dataclass
class _Shared:
    workers: set[str | None] = field(default_factory=set)
    endings: list[Ending] = field(default_factory=list)


_lock = threading.Lock()
_jobs: dict[tuple[str, str], _Shared] = {}


def join(job: tuple[str, str], worker: str | None, spider: str) -> str | None:
    """Take part in a job, by the server's address and the job's id; return the name of the worker, which no other has.

    Args:
        job: The job.
        worker: The name that the worker is to have.
        spider: The spider's name, from which another name is made if that one is taken.
    """
    with _lock:
        taken = _jobs.setdefault(job, _Shared()).workers
        stem = (worker or spider)[:_LONGEST_STEM]
        names = chain([worker], [] if worker else [stem], (f"{stem}-{number}" for number in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        return name


def is_shared(job: tuple[str, str]) -> bool:
    """Return whether more than one spider takes part in a job."""
    with _lock:
        return len(_jobs[job].workers) > 1


def leave(job: tuple[str, str], worker: str | None, ending: Ending | None) -> Ending | None:
    """Take part no longer; return how the job ends, or None if other spiders still report on it.

    `ending`: how this spider ended; None if its job could not be started.
    """
    with _lock:
        shared = _jobs[job]
        shared.workers.discard(worker)
        if ending is not None:
            shared.endings.append(ending)
        if shared.workers:
            return None
        del _jobs[job]
        return min(shared.endings, key=lambda each: _WORST_FIRST.index(each.end), default=None)
