"""Where the embedded PostgreSQL of another process can be reached."""

from pathlib import Path

from tallymark.server.cluster import SUPERUSER
from tallymark.server.leftovers import server_on
from tallymark.server.private_file import read_private

HOST = "127.0.0.1"
DATABASE = "tallymark"


def running_url(data_dir: Path) -> str | None:
    """Find the server that runs on a data directory now.

    Args:
        data_dir: As `EmbeddedPostgres` has it; need not exist.

    Returns:
        Its database as a libpq URL, which carries the password; None when no server runs there.

    Raises:
        OSError: The directory is closed to us.
    """
    data_dir = data_dir.expanduser().absolute()
    try:
        if server_on(data_dir / "cluster") is None:
            return None
        return url_of(data_dir, int(read_private(data_dir / "port")), DATABASE)
    except (FileNotFoundError, ValueError):
        # It is about to start for the first time.
        return None


def url_of(data_dir: Path, port: int, database: str) -> str:
    """Give the URL of a database of a server.

    Args:
        data_dir: Where the server's password is kept.
        port: Where it listens.
        database: The database's name.

    Returns:
        A libpq URL. It carries the password: do not log it.

    Raises:
        OSError: The password cannot be read, or its file is a symbolic link.
    """
    password = read_private(data_dir / "password").strip()
    return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{database}"
