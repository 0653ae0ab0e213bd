"""Jobs for the pages to show, put into the database as the endpoint does: by its stored functions."""

import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import psycopg

Update = Mapping[str, Any]


def new_id(about: str = "seen") -> str:
    """Return an id that no job has."""
    return f"{about}_{secrets.token_hex(6)}"


def job_page(job_id: str, **parameters: object) -> str:
    """Return the address of a job's page."""
    more = f"&{urlencode(parameters)}" if parameters else ""
    return f"/job?id={quote(job_id, safe='')}{more}"


def ago(**units: float) -> str:
    """Return a time in the past, in the form of updates."""
    return (datetime.now(UTC) - timedelta(**units)).isoformat()


def seed(
    url: str, job_id: str, updates: Iterable[Update] = (), attributes: Mapping[str, Any] | None = None
) -> list[int]:
    """Register a job and merge updates, each a second after the one before; the last one happened a second ago.

    Args:
        url: The database's.
        job_id: The job's.
        updates: Their members; status `processing` and the time need not be given.
        attributes: The job's.

    Returns:
        The numbers of their events.
    """
    given = list(updates)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT tallymark.create_job(%s, %s)", (job_id, json.dumps(attributes or {})))
        seqs = []
        for number, update in enumerate(given):
            whole = {"status": "processing", "timestamp": ago(seconds=len(given) - number), **update}
            row = connection.execute("SELECT tallymark.merge_progress(%s, %s)", (job_id, json.dumps(whole))).fetchone()
            assert row is not None
            seqs.append(int(row[0]["seq"]))
    return seqs


def execute(url: str, statement: str, *parameters: object) -> None:
    """Change the database in a way that no function offers."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), parameters)


def scalar(url: str, query: str, *parameters: object) -> Any:  # noqa: ANN401 - whatever it is
    """Return the one value that a query gives."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row[0]
