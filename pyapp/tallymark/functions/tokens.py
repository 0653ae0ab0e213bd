"""The stored functions for the tokens of the endpoint, as Python functions: one each, and no logic of their own.

As in `functions.jobs`, they take the caller's own connection and run in its transaction. They need tallymark_admin.
"""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import LiteralString, NamedTuple

from tallymark.functions.call import Connection, rows, value
from tallymark.functions.errors import JobNotFound, TallymarkError


class TokenNotFound(TallymarkError):  # noqa: N818 - as its siblings in `tallymark.functions.errors`
    """There is no token of this name."""

    http_status = HTTPStatus.NOT_FOUND


class Token(NamedTuple):
    """What is kept of a token.

    Attributes:
        name: What people call it.
        scopes: What it opens: `write`, `read`, `admin`; the last implies the others.
        job_prefix: It is for jobs whose ids begin with this; the empty one is all jobs.
        created_at: When it was made.
        expires_at: From when on it opens nothing; None is never.
        revoked_at: When it was revoked; None where it is not.
    """

    name: str
    scopes: list[str]
    job_prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def create_token(
    connection: Connection,
    name: str,
    scopes: Sequence[str],
    *,
    job_prefix: str = "",
    expires_at: datetime | None = None,
) -> str:
    """Make a token. It is kept nowhere, so it cannot be had again.

    Args:
        connection: Whose transaction this is part of.
        name: What people call it, 1 to 100 characters.
        scopes: What it opens: one or more of `write`, `read` and `admin`.
        job_prefix: It is for jobs whose ids begin with this; the empty one is all jobs.
        expires_at: From when on it opens nothing; None is never.

    Returns:
        The token.

    Raises:
        InvalidUpdate: Something that was given is not what it must be; `details` has every problem.
        Conflict: The name is taken.
    """
    query: LiteralString = "SELECT tallymark.create_token(%s, %s::text[], %s, %s)"
    return str(value(connection, query, name, list(scopes), job_prefix, expires_at))


def list_tokens(connection: Connection) -> list[Token]:
    """List all tokens in the order of their names, also those that open nothing any more.

    Args:
        connection: Whose transaction this is part of.

    Returns:
        What is kept of them.
    """
    return [Token(*row) for row in rows(connection, "SELECT * FROM tallymark.list_tokens()")]


def revoke_token(connection: Connection, name: str) -> datetime:
    """Revoke a token; again changes nothing.

    Args:
        connection: Whose transaction this is part of.
        name: What people call it.

    Returns:
        When it was revoked, the first time.

    Raises:
        TokenNotFound: There is no such token.
    """
    try:
        revoked_at: datetime = value(connection, "SELECT tallymark.revoke_token(%s)", name)
    except JobNotFound as error:
        # What every TK404 is, unless it is known what was looked for.
        raise TokenNotFound(
            str(error), sqlstate=error.sqlstate, explanation=error.explanation, hint=error.hint
        ) from error
    return revoked_at
