"""The embedded PostgreSQL: a server of our own, as a child process on a data directory of its own."""

from tallymark.server.postgres import EmbeddedPostgres, EmbeddedPostgresError
from tallymark.server.running import running_url

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "running_url"]
