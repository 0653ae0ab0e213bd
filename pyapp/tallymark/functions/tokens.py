"""The tokens that open the endpoint. docs/sql-api.md describes each function; all need tallymark_admin.

Each takes the caller's own connection, as in `functions.jobs`.
"""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from tallymark.functions.call import Connection, Rows, Value
from tallymark.functions.errors import JobNotFound, TallymarkError


class TokenNotFound(TallymarkError):  # noqa: N818 - as its siblings in `functions.errors`
    """There is no token with this name."""

    http_status = HTTPStatus.NOT_FOUND


class Token(NamedTuple):
    """What is stored about a token; never the token itself.

    Attributes:
        name: What people call it.
        scopes: `write`, `read`, `admin`; `admin` implies the others.
        job_prefix: It opens only jobs whose ids begin with this; empty for all jobs.
        created_at: When it was made.
        expires_at: When it expires; None for never.
        revoked_at: When it was revoked; None where it was not.
    """

    name: str
    scopes: list[str]
    job_prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


_create_token = Value[str]("create_token", "name", "scopes", "job_prefix", "expires_at")
_list_tokens = Rows(Token, "list_tokens")
_revoke_token = Value[datetime]("revoke_token", "name")


def create_token(
    connection: Connection,
    name: str,
    scopes: Sequence[str],
    *,
    job_prefix: str = "",
    expires_at: datetime | None = None,
) -> str:
    """Make a token and return it. Only its digest is stored, so it is shown this once."""
    return _create_token(connection, name, list(scopes), job_prefix, expires_at)


def list_tokens(connection: Connection) -> list[Token]:
    """List all tokens by name, expired and revoked ones too."""
    return _list_tokens(connection)


def revoke_token(connection: Connection, name: str) -> datetime:
    """Revoke a token and return when that was first done; an unknown name raises TokenNotFound."""
    try:
        return _revoke_token(connection, name)
    except JobNotFound as error:
        # The SQLSTATE TK404 does not say what was looked for.
        raise TokenNotFound(
            str(error), sqlstate=error.sqlstate, explanation=error.explanation, hint=error.hint
        ) from error
