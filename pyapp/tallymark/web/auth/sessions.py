"""Sessions of browsers: a signed cookie, for those requests only that have use for it.

Reading and signing a cookie costs more than all else that Flask does for a report, so a request that shows a token, or
brings no cookie to the API, gets a session that keeps nothing.
"""

from datetime import timedelta

from flask import Flask, Request, Response, request
from flask.sessions import (
    NullSession,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
)

from tallymark.web.auth.callers import shows_token

COOKIE = "tallymark_session"
#: Whoever signed in is let in for so long, if the token is.
LIFETIME = timedelta(days=7)

#: What browsers are sent that have not signed in yet; all else has use for a cookie only where there is one.
_SIGN_IN = "/sign-in"
_COOKIE_BEGINS = COOKIE + "="


class _SignedCookies(SecureCookieSessionInterface):
    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        """Say whether the cookie may only go over TLS: where it comes over TLS now."""
        return request.is_secure


class Sessions(SessionInterface):
    """Flask's own sessions, where they are wanted."""

    _signed = _SignedCookies()

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """Open the session of a request.

        Args:
            app: The application.
            request: The request.

        Returns:
            It; one that keeps nothing where there is no use for any.
        """
        environ = request.environ
        has_cookie = _COOKIE_BEGINS in environ.get("HTTP_COOKIE", "") and not shows_token(environ)
        if not has_cookie and environ["PATH_INFO"] != _SIGN_IN:
            return self._none
        session = self._signed.open_session(app, request)
        return self._none if session is None else session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Send a session to the browser where it changed.

        Args:
            app: The application.
            session: The session.
            response: Gets the cookie.
        """
        if isinstance(session, SecureCookieSession):
            self._signed.save_session(app, session, response)

    @classmethod
    def add_to(cls, app: Flask, secret_key: str) -> None:
        """Give an application sessions.

        Args:
            app: The application.
            secret_key: What cookies are signed with. Whoever has it can let themselves in.
        """
        app.secret_key = secret_key
        app.session_interface = cls()
        app.config.update(
            SESSION_COOKIE_NAME=COOKIE,
            SESSION_COOKIE_HTTPONLY=True,
            # Not Strict: a link to a job, in a mail or a chat, should not ask to sign in again.
            SESSION_COOKIE_SAMESITE="Lax",
            SESSION_REFRESH_EACH_REQUEST=False,
            PERMANENT_SESSION_LIFETIME=LIFETIME,
            # As long as the session.
            WTF_CSRF_TIME_LIMIT=None,
        )
