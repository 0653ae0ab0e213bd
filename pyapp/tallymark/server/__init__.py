"""What runs processes: the embedded PostgreSQL, the web server (granian), and both in one command (up)."""

from tallymark.server.data_dir import running_url
from tallymark.server.postgres import EmbeddedPostgres, EmbeddedPostgresError
from tallymark.server.web_address import running_web_url

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "running_url", "running_web_url"]
