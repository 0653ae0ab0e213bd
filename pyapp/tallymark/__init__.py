"""Tallymark: keeps the progress of crawlers and other long-running jobs in PostgreSQL, and never loses count.

Everything public is here; what it takes is imported when a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallymark.api import (
        Difference,
        Event,
        create_job,
        get_job,
        job_ids,
        merge_progress,
        timeline,
        timeline_page,
        verify_differences,
        verify_job,
    )
    from tallymark.errors import Conflict, InvalidUpdate, JobNotFound, PayloadTooLarge, TallymarkError, Unavailable
    from tallymark.settings import Settings
    from tallymark.web import create_app

__all__ = [
    "Conflict",
    "Difference",
    "Event",
    "InvalidUpdate",
    "JobNotFound",
    "PayloadTooLarge",
    "Settings",
    "TallymarkError",
    "Unavailable",
    "create_app",
    "create_job",
    "get_job",
    "job_ids",
    "merge_progress",
    "timeline",
    "timeline_page",
    "verify_differences",
    "verify_job",
]

_MODULES = {
    "tallymark.api": (
        *("Difference", "Event", "create_job", "get_job", "job_ids", "merge_progress"),
        *("timeline", "timeline_page", "verify_differences", "verify_job"),
    ),
    "tallymark.errors": (
        *("Conflict", "InvalidUpdate", "JobNotFound", "PayloadTooLarge", "TallymarkError", "Unavailable"),
    ),
    "tallymark.settings": ("Settings",),
    "tallymark.web": ("create_app",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
