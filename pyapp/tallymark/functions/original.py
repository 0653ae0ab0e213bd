"""Taking over jobs of the original system. docs/sql-api.md describes both functions; they need tallymark_admin.

Each takes the caller's own connection, as in `functions.jobs`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tallymark.functions.call import Connection, Json, Value, jsonb

_COLUMNS = ("id", "status", "progress", "resume_state", "started_at", "finished_at", "updated_at")

_import_original_row = Value[Json]("import_original_row", "original")
_import_original_job = Value[Json]("import_original_job", *_COLUMNS)


def import_original_row(connection: Connection, original: str | Mapping[str, Any]) -> Json:
    """Take over a job from a row of the original's table of jobs, and return what became of it.

    The row is an object by the names of its columns, or such an object as JSON text. An InvalidUpdate says that no job
    can have its id.
    """
    return _import_original_row(connection, original if isinstance(original, str) else jsonb(original))


def import_original_job(
    connection: Connection,
    id: str,  # noqa: A002 - the name of the column
    *,
    status: str | None = None,
    progress: Mapping[str, Any] | None = None,
    resume_state: Any = None,  # noqa: ANN401 - any JSON
    started_at: datetime | None = None,
    finished_at: datetime | None = None,
    updated_at: datetime | None = None,
) -> Json:
    """Take over a job from the columns of a row of the original's table; all else is as above."""
    return _import_original_job(
        connection, id, status, jsonb(progress), jsonb(resume_state), started_at, finished_at, updated_at
    )
