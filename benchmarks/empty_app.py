"""The endpoint that does nothing: what Flask, the token check and the web server take by themselves."""

from flask import Flask, Response

from tallymark.settings import Settings
from tallymark.web import create_app
from tallymark.web.auth.tokens import Tokens
from tallymark.web.http.answers import json_answer

PATH = "/api/internal/jobs/nothing_"


def empty_app() -> Flask:
    """Make the real application with one more route, which asks for the same token and answers the same each time.

    Returns:
        The application.
    """
    settings = Settings.from_env()
    app = create_app(settings)

    @app.post(PATH)
    @Tokens(settings.crawler_api_tokens).required_scope("write")
    def do_nothing() -> Response:
        """Answer."""
        return json_answer(b'{"status":"received","message":"Progress update acknowledged for task none","seq":1}')

    return app
