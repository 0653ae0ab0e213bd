"""The embedded PostgreSQL: a server of our own, as a child process on a data directory of its own."""

from tallymark.embedded.running import running_url
from tallymark.embedded.server import EmbeddedPostgres, EmbeddedPostgresError

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "running_url"]
