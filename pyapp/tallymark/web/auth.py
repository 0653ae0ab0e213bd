"""Who may call: whoever shows one of the configured tokens."""

import hmac
from collections.abc import Callable, Iterable
from functools import wraps
from hashlib import sha256
from http import HTTPStatus
from typing import ParamSpec

from flask import Response, request

from tallymark.web.problems import Problem

P = ParamSpec("P")


class Tokens:
    """The tokens that open the door, kept as digests: all of one length, so that comparing them tells nothing."""

    def __init__(self, tokens: Iterable[str]) -> None:
        """Take the tokens.

        Args:
            tokens: As people configured them; none switches the endpoints off.
        """
        self._digests = tuple(sha256(token.encode()).digest() for token in tokens)

    def check(self, authorization: str | None) -> None:
        """Let a request pass, or raise.

        Args:
            authorization: The header of that name, as WSGI gives it: each character stands for a byte.

        Raises:
            Problem: 503 when no token is configured at all, 401 when this is none of them.
        """
        if not self._digests:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Endpoint disabled due to missing configuration")
        scheme, _, token = (authorization or "").partition(" ")
        # Some servers give other characters than WSGI has it; such a token is just a wrong one.
        shown = sha256(token.strip(" ").encode("latin-1", "backslashreplace")).digest()
        # All of them are compared, always: the time taken must not tell which one was close.
        matches = [hmac.compare_digest(shown, digest) for digest in self._digests]
        if scheme.lower() != "bearer" or not any(matches):
            raise Problem(HTTPStatus.UNAUTHORIZED, "Unauthorized", headers={"WWW-Authenticate": "Bearer"})

    def required(self, view: Callable[P, Response]) -> Callable[P, Response]:
        """Make a view ask for a token before anything else; a decorator.

        Args:
            view: The view.

        Returns:
            The view with the question before it.
        """

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            self.check(request.environ.get("HTTP_AUTHORIZATION"))
            return view(*args, **kwargs)

        return guarded
