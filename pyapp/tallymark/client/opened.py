"""The open jobs of this process: which there are, and which one the code at hand works on."""

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tallymark.client.process import in_child

if TYPE_CHECKING:
    from tallymark.client.job import Job

#: The jobs that were started and have not ended. A dictionary, as its methods are single calls in C.
_jobs: "dict[Job, None]" = {}
#: Those that were opened in this context, the innermost last. It may have jobs that have ended.
_here: "ContextVar[tuple[weakref.ref[Job], ...]]" = ContextVar("tallymark_jobs", default=())


def add(job: "Job") -> None:
    """Note that a job is open."""
    _jobs[job] = None


def enter(job: "Job") -> None:
    """Make a job the innermost one of this context."""
    _here.set((*(entry for entry in _here.get() if (other := entry()) in _jobs and other is not job), weakref.ref(job)))


def remove(job: "Job") -> None:
    """Note that a job has ended."""
    _jobs.pop(job, None)


def is_open(job: "Job") -> bool:
    """Return whether a job was started and has not ended, in this process."""
    return job in _jobs


def jobs() -> "list[Job]":
    """Return the open jobs, in the order in which they were started."""
    return list(_jobs)


def innermost() -> "Job | None":
    """Return the innermost open job of this context; else the only one of the process; else None."""
    for entry in reversed(_here.get()):
        if (job := entry()) is not None and job in _jobs:
            return job
    everywhere = jobs()
    return everywhere[0] if len(everywhere) == 1 else None


# The jobs of a parent are not those of its child.
in_child(_jobs.clear)
