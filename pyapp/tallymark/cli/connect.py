"""How commands that call stored functions reach the database, and say what went wrong there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tallymark.cli.options import CannotRun
from tallymark.functions import call
from tallymark.functions.call import Connection
from tallymark.functions.errors import NO_RIGHT, NOT_INSTALLED, TallymarkError, Unavailable
from tallymark.schema.migrate import libpq_url

Found = TypeVar("Found")

#: What whoever reads for hours adds to the URL, where that does not say otherwise: a database that is gone without a
#: word, with its machine or the network, is noticed within seconds.
_WATCHFUL = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}

#: No such schema, no such function: so it is for a moment while another release is being installed.
_NOT_INSTALLED = {"3F000", "42883"}


class Away(Exception):  # noqa: N818 - reads as what it is in an except clause
    """The database cannot be read just now. The text says why, in one line."""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Connect, in autocommit.

    Args:
        url: A libpq URL.

    Yields:
        The connection.

    Raises:
        CannotRun: The database is away, or refused the call; the message has every problem.
    """
    try:
        # Without prepared statements, so that a pooler between us may give us another connection for each.
        with psycopg.connect(libpq_url(url), autocommit=True, prepare_threshold=None) as connection:
            yield connection
    except psycopg.Error as error:
        raise CannotRun(str(error).strip()) from error
    except TallymarkError as error:
        raise CannotRun(_sentence(error)) from error


class Database:
    """A database that may be away for a while. It is looked for anew then, since a server may come back elsewhere."""

    def __init__(self, find: Callable[[], str], *, application: str = "tallymark watch") -> None:
        """Say how to find it. Nothing is opened before it is read.

        Args:
            find: Gives its libpq URL, or raises CannotRun.
            application: What the database calls us in its lists.
        """
        self._find = find
        self._application = application
        self._connection: Connection | None = None

    def read(self, ask: Callable[[Connection], Found]) -> Found:
        """Read, over the connection of the last time where that is still good.

        Args:
            ask: Reads; what it has read is complete, or it raises.

        Returns:
            What it gives.

        Raises:
            Away: The database cannot be read just now; another time it may.
            CannotRun: It refused, and would again.
        """
        try:
            if self._connection is None:
                self._connection = _connect(self._url(), self._application)
            return ask(self._connection)
        except psycopg.OperationalError as error:
            self.close()
            raise Away(_first_line(error)) from error
        except psycopg.Error as error:
            raise CannotRun(str(error).strip()) from error
        except TallymarkError as error:
            if error.sqlstate in _NOT_INSTALLED:
                self.close()
                raise Away(NOT_INSTALLED) from error
            if isinstance(error, Unavailable) and error.sqlstate != NO_RIGHT:
                self.close()
                raise Away(_first_line(error.__cause__ or error)) from error
            raise CannotRun(_sentence(error)) from error

    def _url(self) -> str:
        try:
            return self._find()
        except CannotRun as error:
            # An embedded server that is down now may run later.
            raise Away(error.message) from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def server_time(connection: Connection) -> datetime:
    """Tell the time by the server's clock, by which updates are recorded.

    Args:
        connection: Where to ask.

    Returns:
        Now.
    """
    now: datetime = call.server_time(connection)
    return now


def _connect(url: str, application: str) -> Connection:
    given = conninfo_to_dict(libpq_url(url))
    known = {"application_name": application, **_WATCHFUL}
    more = {name: value for name, value in known.items() if name not in given}
    # Without prepared statements, so that a pooler between us may give us another connection for each.
    return psycopg.connect(make_conninfo(libpq_url(url), **more), autocommit=True, prepare_threshold=None)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _sentence(error: TallymarkError) -> str:
    """Say what was wrong in one line."""
    if error.sqlstate == NO_RIGHT:
        return "this user of the database lacks the right to do that, which tallymark_admin has"
    if error.details:
        return f"{error}: " + "; ".join(f"{problem['field']} {problem['problem']}" for problem in error.details)
    # What PostgreSQL said tells more than what the wire protocol answers.
    said = error.explanation or str(error.__cause__ or "").strip()
    return " ".join(filter(None, (f"{error}.", said, error.hint)))
