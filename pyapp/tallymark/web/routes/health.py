"""Whether the process is up, and whether it can work: for load balancers and service managers, without a token."""

import json

from flask import Flask, Response

from tallymark.web.db.readiness import Readiness
from tallymark.web.db.replica import Reader
from tallymark.web.http.answers import json_answer


def add_health(app: Flask, readiness: Readiness, reader: Reader) -> None:
    """Give an application the routes of health."""

    @app.get("/healthz")
    def is_up() -> Response:
        """Return that the process answers. The database is not asked."""
        return json_answer(b'{"status":"up"}')

    @app.get("/readyz")
    def is_ready() -> Response:
        """Check that updates and reads would succeed; return the state of the replica, which may be away."""
        readiness.check()
        ready = {"status": "ready"} | reader.replica_status()
        return json_answer(json.dumps(ready).encode())
