"""Who may call, and what: whoever shows a token that is configured, or one that the database knows.

A configured token opens everything and needs no database. One of the database opens what its scopes say, for the jobs
whose ids begin as it says. What the database said of a token is remembered for a few seconds, so that a request need
not ask; that is how long a token that was revoked is let in. Nothing but digests is remembered, and none is logged.
"""

import hmac
import json
import re
import time
from collections.abc import Callable, Iterable
from functools import wraps
from hashlib import sha256
from http import HTTPStatus
from threading import Lock
from typing import Literal, NamedTuple, ParamSpec

from flask import Response, request

from tallymark.web.database import Database, Statement
from tallymark.web.problems import Problem

P = ParamSpec("P")

#: What a token may open; `admin` implies the others.
Scope = Literal["write", "read", "admin"]
_ALL_SCOPES: tuple[Scope, ...] = ("write", "read", "admin")

CHECK_TOKEN = Statement(
    b"tallymark_check_token", b"SELECT tallymark.check_token($1::bytea), tallymark.has_tokens()::text"
)
#: So many tokens are remembered, and so many that are wrong: a flood of them must not fill the memory.
_MOST_REMEMBERED = 1000
#: A token that was just made must not be wrong for long.
_UNKNOWN_SECONDS = 1.0
#: What tokens of the database look like, see create_token. All others are as good as none, and are asked about as one.
_LOOKS_RIGHT = re.compile(rb"tallymark_[0-9a-f]{64}")
_NO_TOKEN = sha256(b"").digest()


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


_CONFIGURED = Caller("", frozenset(_ALL_SCOPES), "", None)


def caller() -> Caller:
    """Return who sent the request that is being answered, in a view that asks for a token."""
    found: Caller = request.environ["tallymark.caller"]
    return found


class _Known(NamedTuple):
    """What the database said of a token: whose it is, if anybody's, and whether it knows any token at all."""

    until: float
    caller: Caller | None
    any_token: bool


class _Memory:
    """What the database said of the tokens that were shown last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[bytes, _Known] = {}

    def get(self, digest: bytes) -> _Known | None:
        """Return what is remembered of a token, and not too old."""
        known = self._known.get(digest)
        return known if known is not None and time.monotonic() < known.until else None

    def put(self, digest: bytes, known: _Known) -> None:
        """Remember a token, instead of the one that has been remembered for longest where there are too many."""
        with self._lock:
            self._known.pop(digest, None)
            if len(self._known) >= _MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[digest] = known


class Tokens:
    """The tokens that open the door, kept as digests: all of one length, so that comparing them tells nothing."""

    def __init__(self, tokens: Iterable[str], database: Database | None = None, *, cache_seconds: float = 5.0) -> None:
        """Take the tokens.

        Args:
            tokens: As people configured them; each opens everything.
            database: Where further tokens are; None is nowhere.
            cache_seconds: For how long what the database says of a token is remembered.
        """
        self._digests = tuple(sha256(token.encode()).digest() for token in tokens)
        self._database = database
        self._cache_seconds = cache_seconds
        # Apart, so that wrong tokens, however many there are, push no right one out.
        self._right = _Memory()
        self._wrong = _Memory()

    def identify(self, authorization: str | None) -> Caller:
        """Say who calls, or raise.

        Args:
            authorization: The header of that name, as WSGI gives it: each character stands for a byte.

        Returns:
            The caller.

        Raises:
            Problem: 503 when no token is configured at all, 401 when this is none of them.
            Unavailable: It is none of the configured ones, and the database that may know it is away.
        """
        scheme, _, token = (authorization or "").partition(" ")
        # Some servers give other characters than WSGI has it; such a token is just a wrong one.
        shown = token.strip(" ").encode("latin-1", "backslashreplace") if scheme.lower() == "bearer" else b""
        digest = sha256(shown).digest()
        # All of them are compared, always: the time taken must not tell which one was close.
        matches = [hmac.compare_digest(digest, other) for other in self._digests]
        if any(matches):
            return _CONFIGURED
        if self._digests and (self._database is None or not shown):
            raise _unauthorized()
        known = self._look_up(digest if _LOOKS_RIGHT.fullmatch(shown) else _NO_TOKEN)
        if known.caller is not None:
            return known.caller
        if self._digests or known.any_token:
            raise _unauthorized()
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Endpoint disabled due to missing configuration")

    def required_scope(self, scope: Scope) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
        """Make a view ask for a token with a scope before anything else; a decorator.

        In the view `caller()` says who calls.

        Args:
            scope: What the token must open.

        Returns:
            What makes of a view the view with the question before it.
        """

        def guard(view: Callable[P, Response]) -> Callable[P, Response]:
            @wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
                environ = request.environ
                who = environ["tallymark.caller"] = self.identify(environ.get("HTTP_AUTHORIZATION"))
                if scope not in who.scopes:
                    raise Problem(
                        HTTPStatus.FORBIDDEN,
                        "Forbidden",
                        explanation=f"This token lacks the scope {scope}.",
                        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
                    )
                return view(*args, **kwargs)

            return guarded

        return guard

    def _look_up(self, digest: bytes) -> _Known:
        """Return what the database says of a token, or said a moment ago."""
        if self._database is None:
            return _Known(0.0, None, any_token=False)
        known = self._right.get(digest) or self._wrong.get(digest)
        if known is not None:
            return known
        # The time before it is asked: what it says may be old by the time it is here.
        now = time.monotonic()
        found, any_token = self._database.call(CHECK_TOKEN, b"\\x" + digest.hex().encode())
        if found is None:
            unknown = _Known(now + min(_UNKNOWN_SECONDS, self._cache_seconds), None, any_token=any_token == b"true")
            self._wrong.put(digest, unknown)
            return unknown
        token = json.loads(found)
        left = token["secondsLeft"]
        seconds = self._cache_seconds if left is None else min(self._cache_seconds, left)
        scopes = frozenset(_ALL_SCOPES if "admin" in token["scopes"] else token["scopes"])
        prefix: str = token["jobPrefix"]
        who = Caller(token["name"], scopes, prefix, prefix.encode() or None)
        right = _Known(now + seconds, who, any_token=True)
        self._right.put(digest, right)
        return right


def _unauthorized() -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "Unauthorized", headers={"WWW-Authenticate": "Bearer"})
