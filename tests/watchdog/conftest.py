"""The servers of the web's tests, whose pages the links in alerts open."""

from tests.web.conftest import start_web

__all__ = ["start_web"]
