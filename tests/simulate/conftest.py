"""The servers of the web's tests, for crowds."""

from tests.web.conftest import start_web

__all__ = ["start_web"]
