"""Who calls, and what that caller may do: configured tokens, tokens in the database, and sessions that stand for one.

A configured token allows everything and needs no database. A stored token allows what its scopes say, for the jobs
whose ids begin with its prefix. What the database says about a token is cached for a few seconds, so a revoked token
is accepted for that long. Only digests are kept, and none is logged.

A browser shows the cookie of a session instead. A session stands for the token that was used to sign in, and ends with
it, or when somebody signs out. It may read, and command if the token may, but never report. Requests that change
something need its CSRF token.
"""

import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from hashlib import sha256
from http import HTTPStatus
from threading import Lock
from typing import Any, Literal, NamedTuple, ParamSpec

from flask import Response, request, session
from flask_wtf.csrf import validate_csrf
from wtforms import ValidationError

from tallymark.functions.http import CHECK_TOKEN
from tallymark.web.auth.ended import EndedSessions
from tallymark.web.auth.guesses import Guesses, source_of
from tallymark.web.db.pool import Database
from tallymark.web.http.answers import Problem

P = ParamSpec("P")

#: What a token may allow; `admin` implies the others.
Scope = Literal["write", "read", "admin"]
ALL_SCOPES: tuple[Scope, ...] = ("write", "read", "admin")

#: What the answers 401 say.
NO_SUCH_TOKEN = "There is no such token, or it has expired."  # noqa: S105
_HOW_TO_SEND = "Send `Authorization: Bearer <token>`."
_SESSION_ENDED = "The session has ended. Sign in again."

#: Where the WSGI environment of a request keeps its caller, and the ticket and id of its session.
_CALLER_KEY = "tallymark.caller"
_KNOWN_KEY = "tallymark.known"
_TICKET_KEY = "tallymark.ticket"
#: Where a session keeps its ticket, the kind and a digest of the token that it stands for, and its id.
_TICKET = "ticket"
_ID = "id"
_CSRF_HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: The size of a cache: a flood of wrong tokens must not fill the memory.
_MAX_CACHED = 1000
#: A wrong token is cached for a shorter time, because it may have been created just now.
_UNKNOWN_SECONDS = 1.0
#: The form of stored tokens, see create_token. All others share one cache entry, that of no token.
_STORED_TOKEN = re.compile(rb"tallymark_[0-9a-f]{64}")
_NO_TOKEN = sha256(b"").digest()


class Caller(NamedTuple):
    """Who calls: the name of the token (empty for a configured one), its scopes, and the prefix of its jobs' ids.

    `sql_prefix` is the prefix as a parameter of a statement: None for all jobs.
    """

    name: str
    scopes: frozenset[str]
    job_prefix: str
    sql_prefix: bytes | None

    def check_job(self, job_id: str) -> None:
        """Raise 403 if the token is for other jobs, whether or not this one exists."""
        if not job_id.startswith(self.job_prefix):
            explanation = f"This token is for jobs whose ids begin with '{self.job_prefix}'."
            raise Problem(HTTPStatus.FORBIDDEN, "Forbidden", explanation=explanation)


_CONFIGURED = Caller("", frozenset(ALL_SCOPES), "", None)


def caller() -> Caller:
    """Return who sent the request at hand, in a view that requires a scope."""
    found: Caller = request.environ[_CALLER_KEY]
    return found


def shows_token(environ: Mapping[str, Any]) -> bool:
    """Return whether a request has a bearer token. Behind a proxy with passwords, browsers send `Basic` instead."""
    authorization: str = environ.get("HTTP_AUTHORIZATION", "")
    return authorization[:7].lower() == "bearer "


class _Known(NamedTuple):
    """What the database said about a token: whose it is, if anybody's, and whether any tokens exist."""

    until: float
    caller: Caller | None
    any_token: bool


class _Cache:
    """What the database said about the tokens that were shown last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[bytes, _Known] = {}

    def get(self, digest: bytes) -> _Known | None:
        known = self._known.get(digest)
        return known if known is not None and time.monotonic() < known.until else None

    def put(self, digest: bytes, known: _Known) -> None:
        """Add a token; a full cache drops its oldest entry."""
        with self._lock:
            self._known.pop(digest, None)
            if len(self._known) >= _MAX_CACHED:
                del self._known[next(iter(self._known))]
            self._known[digest] = known


class StoredTokens:
    """The tokens in a database; without a database there are none."""

    def __init__(self, database: Database | None, cache_seconds: float) -> None:
        """`cache_seconds` is how long an answer of the database is used."""
        self._database = database
        self._cache_seconds = cache_seconds
        # Two caches, so that wrong tokens never displace right ones.
        self._right = _Cache()
        self._wrong = _Cache()

    @property
    def are_there(self) -> bool:
        """Whether there is a database that may hold tokens."""
        return self._database is not None

    def recognised(self, digest: bytes) -> Caller | None:
        """Return whose token it was when it was looked up last, a few seconds ago."""
        known = self._right.get(digest)
        return None if known is None else known.caller

    def of_token(self, shown: bytes) -> _Known:
        """Return what is known about a token. Raises Unavailable if the database is needed and away."""
        return self.of_digest(sha256(shown).digest() if _STORED_TOKEN.fullmatch(shown) else _NO_TOKEN)

    def of_digest(self, digest: bytes) -> _Known:
        """Return what is known about a token by its SHA-256."""
        if self._database is None:
            return _Known(0.0, None, any_token=False)
        known = self._right.get(digest) or self._wrong.get(digest)
        if known is not None:
            return known
        # Read the clock before the call: the answer may be old when it arrives.
        now = time.monotonic()
        found, any_token = self._database.call(CHECK_TOKEN, b"\\x" + digest.hex().encode())
        if found is None:
            unknown = _Known(now + min(_UNKNOWN_SECONDS, self._cache_seconds), None, any_token=any_token == b"true")
            self._wrong.put(digest, unknown)
            return unknown
        token = json.loads(found)
        left = token["secondsLeft"]
        seconds = self._cache_seconds if left is None else min(self._cache_seconds, left)
        scopes = frozenset(ALL_SCOPES if "admin" in token["scopes"] else token["scopes"])
        prefix: str = token["jobPrefix"]
        who = Caller(token["name"], scopes, prefix, prefix.encode() or None)
        right = _Known(now + seconds, who, any_token=True)
        self._right.put(digest, right)
        return right


class Tokens:
    """The tokens that are accepted. They are compared by digests of one length, so timing tells nothing about them."""

    def __init__(
        self,
        tokens: Iterable[str],
        database: Database | None = None,
        *,
        cache_seconds: float = 5.0,
        secret_key: str = "",
        session_seconds: float = 604_800.0,
    ) -> None:
        """Take the configured tokens, and the database that holds others; None for none.

        The secret key makes the session tickets of configured tokens. `session_seconds` is how long a session lasts.
        """
        self._secret_key = secret_key.encode()
        self._digests = tuple(sha256(token.encode()).digest() for token in tokens)
        self._stored = StoredTokens(database, cache_seconds)
        self._guesses = Guesses()
        self._ended = EndedSessions(database, cache_seconds, session_seconds)

    def identify(self, authorization: str | None, address: str | None = None) -> Caller:
        """Return who shows a token in the header `Authorization`. A wrong one counts for the address.

        Raises 401 for a wrong token, or 429 if too many came from there; 503 if no token exists at all; and Unavailable
        if the database is needed and away.
        """
        shown, digest = _digest_of(authorization)
        # Always compare with all of them: the time must not tell which one was close.
        matches = [hmac.compare_digest(digest, other) for other in self._digests]
        if any(matches):
            return _CONFIGURED
        if self._digests and not (self._stored.are_there and shown):
            raise self._refused(shown, address)
        known = self._stored.of_token(shown)
        if known.caller is not None:
            return known.caller
        if self._digests or known.any_token:
            raise self._refused(shown, address)
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Endpoint disabled due to missing configuration")

    def _refused(self, shown: bytes, address: str | None) -> Problem:
        """Return the problem of a token that is wrong or missing. A missing one is no guess."""
        wait = self._guesses.count(source_of(address)) if shown and address is not None else 0
        return too_many(wait) if wait else _unauthorized(NO_SUCH_TOKEN if shown else _HOW_TO_SEND)

    def recognises(self, environ: dict[str, Any]) -> bool:
        """Return whether a request shows a token that is known to be right, without asking the database.

        `required_scope` then does not look again.
        """
        digest = _digest_of(environ.get("HTTP_AUTHORIZATION"))[1]
        matches = [hmac.compare_digest(digest, other) for other in self._digests]
        who = environ[_KNOWN_KEY] = _CONFIGURED if any(matches) else self._stored.recognised(digest)
        return who is not None

    def sign_in(self, authorization: str | None, address: str | None = None) -> Caller:
        """Make this request's session stand for a token. Raises as `identify`, and 403 if the token cannot read."""
        who = _without_reporting(self.identify(authorization, address))
        if "read" not in who.scopes:
            raise _lacks("read")
        session.clear()
        session[_TICKET] = self._ticket_of(_digest_of(authorization)[1])
        session[_ID] = secrets.token_hex(16)
        return who

    def sign_out(self) -> None:
        """End this request's session, in all processes: a copy of its cookie opens nothing any more."""
        if session_id := session.get(_ID, ""):
            self._ended.end(session_id)
        session.clear()

    def signed_in(self) -> Caller:
        """Return whose token the session of this request stands for. Raises 401 if there is none, or not any more."""
        ticket = request.environ[_TICKET_KEY] = (session.get(_TICKET, ""), session.get(_ID, ""))
        return self._redeem(*ticket)

    def recheck(self, environ: Mapping[str, Any]) -> Caller:
        """Check again who sent an accepted request, while its answer goes on. Raises as `identify`."""
        ticket = environ.get(_TICKET_KEY)
        return self.identify(environ.get("HTTP_AUTHORIZATION")) if ticket is None else self._redeem(*ticket)

    def required_scope(self, scope: Scope) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
        """Decorate a view that requires a token with a scope, or a session for one; `caller()` works in it."""

        def guard(view: Callable[P, Response]) -> Callable[P, Response]:
            @wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
                environ = request.environ
                by_session = not shows_token(environ) and _TICKET in session
                if by_session:
                    who = self.signed_in()
                else:
                    who = environ.get(_KNOWN_KEY) or self.identify(
                        environ.get("HTTP_AUTHORIZATION"), environ.get("REMOTE_ADDR", "")
                    )
                if scope not in who.scopes:
                    raise _lacks(scope)
                if by_session and environ["REQUEST_METHOD"] not in _SAFE_METHODS:
                    check_csrf()
                environ[_CALLER_KEY] = who
                return view(*args, **kwargs)

            return guarded

        return guard

    def _ticket_of(self, digest: bytes) -> str:
        """Return what a session keeps of a token. The cookie is signed, but its owner can read it.

        A stored token has too many bits to be guessed from its digest. A configured one may be a short word, so its
        digest is keyed.
        """
        if any(hmac.compare_digest(digest, other) for other in self._digests):
            return "configured " + hmac.digest(self._secret_key, digest, "sha256").hex()
        return "stored " + digest.hex()

    def _redeem(self, ticket: str, session_id: str) -> Caller:
        # A session of an earlier release has no id, so nobody could end it.
        if not ticket or not session_id or self._ended.has_ended(session_id):
            raise _unauthorized(_SESSION_ENDED if ticket else _HOW_TO_SEND)
        kind, _, value = ticket.partition(" ")
        if kind == "configured" and any(
            hmac.compare_digest(ticket, self._ticket_of(digest)) for digest in self._digests
        ):
            return _without_reporting(_CONFIGURED)
        if kind == "stored":
            known = self._stored.of_digest(bytes.fromhex(value))
            if known.caller is not None:
                return _without_reporting(known.caller)
        raise _unauthorized(_SESSION_ENDED)


def check_csrf() -> None:
    """Raise 403 if the request may come from another site: it lacks the CSRF token of its session."""
    try:
        validate_csrf(request.environ.get("HTTP_X_CSRF_TOKEN"))
    except ValidationError:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "Forbidden",
            explanation=f"The header {_CSRF_HEADER} must contain the CSRF token of this session.",
        ) from None


def too_many(wait: int) -> Problem:
    """Return the problem that too many wrong tokens came from an address, which should wait for some seconds."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many wrong tokens",
        explanation=f"This token is wrong. Too many wrong tokens came from this address, so try again in {wait} s. "
        "The right token is accepted at any time.",
        headers={"Retry-After": str(wait)},
    )


def _digest_of(authorization: str | None) -> tuple[bytes, bytes]:
    """Return the token of a header, empty if there is none, and its digest."""
    scheme, _, token = (authorization or "").partition(" ")
    # Some servers pass on characters that WSGI does not allow; such a token is just a wrong one.
    shown = token.strip(" ").encode("latin-1", "backslashreplace") if scheme.lower() == "bearer" else b""
    return shown, sha256(shown).digest()


def _without_reporting(who: Caller) -> Caller:
    return who._replace(scopes=who.scopes - {"write"})


def _lacks(scope: str) -> Problem:
    return Problem(
        HTTPStatus.FORBIDDEN,
        "Forbidden",
        explanation=f"This token lacks the scope {scope}.",
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
    )


def _unauthorized(explanation: str) -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED, "Unauthorized", explanation=explanation, headers={"WWW-Authenticate": "Bearer"}
    )
