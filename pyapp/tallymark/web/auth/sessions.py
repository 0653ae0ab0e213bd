"""Sessions of browsers: a signed cookie, read and written only for requests that may need one.

Handling a cookie costs more than everything else that Flask does for a report. So a request that shows a token, or
comes to the API without a cookie, gets a session that keeps nothing.
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

from tallymark.web.auth.tokens import shows_token

COOKIE = "tallymark_session"
#: How long a session lasts, unless its token ends before.
LIFETIME = timedelta(days=7)

#: The one page that starts a session; all others use only a cookie that is there.
_SIGN_IN = "/sign-in"
_COOKIE_PREFIX = COOKIE + "="


class _SignedCookies(SecureCookieSessionInterface):
    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        """Restrict the cookie to TLS if this request came over TLS."""
        return request.is_secure


class Sessions(SessionInterface):
    """Flask's own sessions, for the requests that may need one."""

    _signed = _SignedCookies()

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """Return the session of a request, or one that keeps nothing."""
        environ = request.environ
        has_cookie = _COOKIE_PREFIX in environ.get("HTTP_COOKIE", "") and not shows_token(environ)
        if not has_cookie and environ["PATH_INFO"] != _SIGN_IN:
            return self._none
        session = self._signed.open_session(app, request)
        return self._none if session is None else session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie if the session has changed."""
        if isinstance(session, SecureCookieSession):
            self._signed.save_session(app, session, response)

    @classmethod
    def add_to(cls, app: Flask, secret_key: str) -> None:
        """Give an application sessions. Whoever has the secret key can forge one."""
        app.secret_key = secret_key
        app.session_interface = cls()
        app.config.update(
            SESSION_COOKIE_NAME=COOKIE,
            SESSION_COOKIE_HTTPONLY=True,
            # Not Strict: a link to a job in a mail or a chat should not ask to sign in again.
            SESSION_COOKIE_SAMESITE="Lax",
            SESSION_REFRESH_EACH_REQUEST=False,
            PERMANENT_SESSION_LIFETIME=LIFETIME,
            # As long as the session.
            WTF_CSRF_TIME_LIMIT=None,
        )
