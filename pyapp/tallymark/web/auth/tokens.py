"""Who may call, and what: whoever shows a token that is configured, or one that the database knows.

A configured token opens everything and needs no database. One of the database opens what its scopes say, for the jobs
whose ids begin as it says. What the database said of a token is remembered for a few seconds, so that a request need
not ask; that is how long a token that was revoked is let in. Nothing but digests is remembered, and none is logged.

Whoever signed in with a browser shows a session's cookie instead. It stands for the token that was shown then, and ends
with it. It reads, and commands where the token does; it never reports. What it changes needs the session's CSRF token,
too.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from hashlib import sha256
from http import HTTPStatus
from typing import Any, ParamSpec

from flask import Response, request, session
from flask_wtf.csrf import validate_csrf
from wtforms import ValidationError

from tallymark.web.auth.callers import ALL_SCOPES, KEPT_AS, Caller, Scope, shows_token
from tallymark.web.auth.stored_tokens import StoredTokens
from tallymark.web.db.pool import Database
from tallymark.web.http.problems import Problem

P = ParamSpec("P")

#: Where a session keeps the ticket, and a request the one that it came with.
_TICKET = "ticket"
_TICKET_SHOWN = "tallymark.ticket"
_CSRF_HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


_CONFIGURED = Caller("", frozenset(ALL_SCOPES), "", None)


class Tokens:
    """The tokens that open the door, kept as digests: all of one length, so that comparing them tells nothing."""

    def __init__(
        self,
        tokens: Iterable[str],
        database: Database | None = None,
        *,
        cache_seconds: float = 5.0,
        secret_key: str = "",
    ) -> None:
        """Take the tokens.

        Args:
            tokens: As people configured them; each opens everything.
            database: Where further tokens are; None is nowhere.
            cache_seconds: For how long what the database says of a token is remembered.
            secret_key: What tickets of configured tokens are made with.
        """
        self._secret_key = secret_key.encode()
        self._digests = tuple(sha256(token.encode()).digest() for token in tokens)
        self._stored = StoredTokens(database, cache_seconds)

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
        shown, digest = _digest_of(authorization)
        # All of them are compared, always: the time taken must not tell which one was close.
        matches = [hmac.compare_digest(digest, other) for other in self._digests]
        if any(matches):
            return _CONFIGURED
        if self._digests and not (self._stored.are_there and shown):
            raise _unauthorized()
        known = self._stored.of_token(shown)
        if known.caller is not None:
            return known.caller
        if self._digests or known.any_token:
            raise _unauthorized()
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Endpoint disabled due to missing configuration")

    def sign_in(self, authorization: str | None) -> Caller:
        """Have the session of this request stand for a token from now on.

        Args:
            authorization: The header with the token, as `identify` has it.

        Returns:
            Whose it is. What a session does not open is not among the scopes.

        Raises:
            Problem, Unavailable: As `identify` has it; 403, it opens nothing that a session does.
        """
        who = _without_reporting(self.identify(authorization))
        if "read" not in who.scopes:
            raise _lacks("read")
        session.clear()
        session[_TICKET] = self._ticket_of(_digest_of(authorization)[1])
        return who

    def signed_in(self) -> Caller:
        """Say who signed in in the session of this request, or raise.

        Returns:
            Whose token the session stands for.

        Raises:
            Problem: 401, nobody did, or the token is none any more.
            Unavailable: The database that may know the token is away.
        """
        ticket = session.get(_TICKET, "")
        request.environ[_TICKET_SHOWN] = ticket
        return self._redeem(ticket)

    def recheck(self, environ: Mapping[str, Any]) -> Caller:
        """Say who calls, again: in an answer that goes on for long, whether the token still is one.

        Args:
            environ: That of a request that was let in.

        Returns:
            The caller.

        Raises:
            Problem, Unavailable: As they would be now.
        """
        ticket = environ.get(_TICKET_SHOWN)
        return self.identify(environ.get("HTTP_AUTHORIZATION")) if ticket is None else self._redeem(ticket)

    def required_scope(self, scope: Scope) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
        """Make a view ask for a token with a scope, or for a session that stands for one, before anything else.

        A decorator. In the view `caller()` says who calls.

        Args:
            scope: What the token must open.

        Returns:
            What makes of a view the view with the question before it.
        """

        def guard(view: Callable[P, Response]) -> Callable[P, Response]:
            @wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
                environ = request.environ
                by_session = not shows_token(environ) and _TICKET in session
                who = self.signed_in() if by_session else self.identify(environ.get("HTTP_AUTHORIZATION"))
                if scope not in who.scopes:
                    raise _lacks(scope)
                if by_session and environ["REQUEST_METHOD"] not in _SAFE_METHODS:
                    check_csrf()
                environ[KEPT_AS] = who
                return view(*args, **kwargs)

            return guarded

        return guard

    def _ticket_of(self, digest: bytes) -> str:
        """Return what a session keeps of a token. It is signed, but can be read by whoever has the cookie.

        A token of the database has too many bits to be found by its digest. A configured one may be a short word, so
        that only a digest with a key is given away.
        """
        if any(hmac.compare_digest(digest, other) for other in self._digests):
            return "configured " + hmac.digest(self._secret_key, digest, "sha256").hex()
        return "stored " + digest.hex()

    def _redeem(self, ticket: str) -> Caller:
        kind, _, value = ticket.partition(" ")
        if kind == "configured" and any(
            hmac.compare_digest(ticket, self._ticket_of(digest)) for digest in self._digests
        ):
            return _without_reporting(_CONFIGURED)
        if kind == "stored":
            known = self._stored.of_digest(bytes.fromhex(value))
            if known.caller is not None:
                return _without_reporting(known.caller)
        raise _unauthorized()


def _digest_of(authorization: str | None) -> tuple[bytes, bytes]:
    """Return the token of a header, which is empty where there is none, and its digest."""
    scheme, _, token = (authorization or "").partition(" ")
    # Some servers give other characters than WSGI has it; such a token is just a wrong one.
    shown = token.strip(" ").encode("latin-1", "backslashreplace") if scheme.lower() == "bearer" else b""
    return shown, sha256(shown).digest()


def _without_reporting(who: Caller) -> Caller:
    return who._replace(scopes=who.scopes - {"write"})


def check_csrf() -> None:
    """Refuse what another site may have had the browser send.

    Raises:
        Problem: 403, the request does not have the session's own token in its header.
    """
    try:
        validate_csrf(request.environ.get("HTTP_X_CSRF_TOKEN"))
    except ValidationError:
        raise Problem(
            HTTPStatus.FORBIDDEN, "Forbidden", explanation=f"The header {_CSRF_HEADER} must have this session's token."
        ) from None


def _lacks(scope: str) -> Problem:
    return Problem(
        HTTPStatus.FORBIDDEN,
        "Forbidden",
        explanation=f"This token lacks the scope {scope}.",
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
    )


def _unauthorized() -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "Unauthorized", headers={"WWW-Authenticate": "Bearer"})
