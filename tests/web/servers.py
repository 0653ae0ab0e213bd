"""Other servers that run the application, for what the application leaves to its server."""

import sys

from tests.web.conftest import Web


class Gthread(Web):
    """gunicorn with threads."""

    def command(self) -> list[str]:
        """Return what starts it."""
        return _gunicorn(self.port, "gthread", 80)


class Sync(Web):
    """gunicorn with one request at a time."""

    def command(self) -> list[str]:
        """Return what starts it."""
        return _gunicorn(self.port, "sync", 1)


#: All servers that run the application here, by their names.
SERVERS = {"granian": Web, "gthread": Gthread, "sync": Sync}


def _gunicorn(port: int, kind: str, threads: int) -> list[str]:
    options = ("--worker-class", kind, "--threads", str(threads), "--no-control-socket", "--log-level", "error")
    return [sys.executable, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}", "tallymark.web:create_app()"]
