"""Who calls, and what that opens."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

from flask import request

from tallymark.web.http.problems import Problem

#: What a token may open; `admin` implies the others.
Scope = Literal["write", "read", "admin"]
ALL_SCOPES: tuple[Scope, ...] = ("write", "read", "admin")
#: Where a request keeps its caller.
KEPT_AS = "tallymark.caller"


class Caller(NamedTuple):
    """Who calls.

    Attributes:
        name: What people call the token that was shown; empty for a configured one.
        scopes: What it opens; with `admin` all of them.
        job_prefix: It is for jobs whose ids begin with this; the empty one is all jobs.
        sql_prefix: The same as a parameter of a statement: None where it is all jobs.
    """

    name: str
    scopes: frozenset[str]
    job_prefix: str
    sql_prefix: bytes | None

    def check_job(self, job_id: str) -> None:
        """Let a call about a job pass, or raise; whether there is such a job does not matter.

        Args:
            job_id: The job's id.

        Raises:
            Problem: 403, this token is for other jobs.
        """
        if not job_id.startswith(self.job_prefix):
            explanation = f"This token is for jobs whose ids begin with '{self.job_prefix}'."
            raise Problem(HTTPStatus.FORBIDDEN, "Forbidden", explanation=explanation)


def shows_token(environ: Mapping[str, Any]) -> bool:
    """Say whether a request shows a token. A proxy that asks for a password has browsers send the same header.

    Args:
        environ: The request, as WSGI has it.

    Returns:
        Whether its header `Authorization` has the scheme of tokens.
    """
    authorization: str = environ.get("HTTP_AUTHORIZATION", "")
    return authorization[:7].lower() == "bearer "


def caller() -> Caller:
    """Return who sent the request that is being answered, in a view that asks for a token."""
    found: Caller = request.environ[KEPT_AS]
    return found
