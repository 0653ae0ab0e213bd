"""Tallymark: keeps the progress of crawlers and other long-running jobs in PostgreSQL, and never loses count.

Everything public is here; what it takes is imported when a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallymark.client import DeliveryError, Job, ProgressClient, Resume
    from tallymark.functions.errors import (
        Conflict,
        InvalidUpdate,
        JobNotFound,
        PayloadTooLarge,
        TallymarkError,
        Unavailable,
    )
    from tallymark.functions.jobs import (
        Difference,
        Event,
        create_job,
        get_job,
        job_ids,
        merge_progress,
        merge_progress_batch,
        request_command,
        timeline,
        timeline_before,
        timeline_page,
        verify_differences,
        verify_job,
    )
    from tallymark.functions.reading import (
        Frequency,
        Stage,
        Step,
        accumulation_history,
        job_at,
        job_changes,
        job_rate,
        job_rates,
        list_jobs,
        newest_jobs,
        stage_durations,
        update_frequency,
    )
    from tallymark.functions.stats import (
        Area,
        BusyJob,
        Day,
        ErrorGroup,
        Minute,
        StalledJob,
        areas_tree,
        busiest_jobs,
        database_figures,
        error_groups,
        events_per_minute,
        job_areas,
        jobs_by_status,
        jobs_per_day,
        recent_failures,
        stalled_jobs,
        verify_newest,
    )
    from tallymark.functions.tokens import Token, TokenNotFound, create_token, list_tokens, revoke_token
    from tallymark.settings import Settings
    from tallymark.web import create_app

__all__ = [
    "Area",
    "BusyJob",
    "Conflict",
    "Day",
    "DeliveryError",
    "Difference",
    "ErrorGroup",
    "Event",
    "Frequency",
    "InvalidUpdate",
    "Job",
    "JobNotFound",
    "Minute",
    "PayloadTooLarge",
    "ProgressClient",
    "Resume",
    "Settings",
    "Stage",
    "StalledJob",
    "Step",
    "TallymarkError",
    "Token",
    "TokenNotFound",
    "Unavailable",
    "accumulation_history",
    "areas_tree",
    "busiest_jobs",
    "create_app",
    "create_job",
    "create_token",
    "database_figures",
    "error_groups",
    "events_per_minute",
    "get_job",
    "job_areas",
    "job_at",
    "job_changes",
    "job_ids",
    "job_rate",
    "job_rates",
    "jobs_by_status",
    "jobs_per_day",
    "list_jobs",
    "list_tokens",
    "merge_progress",
    "merge_progress_batch",
    "newest_jobs",
    "recent_failures",
    "request_command",
    "revoke_token",
    "stage_durations",
    "stalled_jobs",
    "timeline",
    "timeline_before",
    "timeline_page",
    "update_frequency",
    "verify_differences",
    "verify_job",
    "verify_newest",
]

_MODULES = {
    "tallymark.functions.jobs": (
        "Difference",
        "Event",
        "create_job",
        "get_job",
        "job_ids",
        "merge_progress",
        "merge_progress_batch",
        "request_command",
        "timeline",
        "timeline_before",
        "timeline_page",
        "verify_differences",
        "verify_job",
    ),
    "tallymark.client": ("DeliveryError", "Job", "ProgressClient", "Resume"),
    "tallymark.functions.errors": (
        "Conflict",
        "InvalidUpdate",
        "JobNotFound",
        "PayloadTooLarge",
        "TallymarkError",
        "Unavailable",
    ),
    "tallymark.functions.stats": (
        "Area",
        "BusyJob",
        "Day",
        "ErrorGroup",
        "Minute",
        "StalledJob",
        "areas_tree",
        "busiest_jobs",
        "database_figures",
        "error_groups",
        "events_per_minute",
        "job_areas",
        "jobs_by_status",
        "jobs_per_day",
        "recent_failures",
        "stalled_jobs",
        "verify_newest",
    ),
    "tallymark.functions.reading": (
        "Frequency",
        "Stage",
        "Step",
        "accumulation_history",
        "job_at",
        "job_changes",
        "job_rate",
        "job_rates",
        "list_jobs",
        "newest_jobs",
        "stage_durations",
        "update_frequency",
    ),
    "tallymark.settings": ("Settings",),
    "tallymark.functions.tokens": (
        "Token",
        "TokenNotFound",
        "create_token",
        "list_tokens",
        "revoke_token",
    ),
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
