"""What several commands share: options, and the database they work on."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg
from psycopg import sql

from tallymark.functions import call
from tallymark.functions.call import Connection
from tallymark.functions.errors import NO_RIGHT, NOT_INSTALLED, OTHER_RELEASE, NotGranted, TallymarkError, Unavailable
from tallymark.functions.session import UNHURRIED, connect, take_role
from tallymark.plain import plain_json
from tallymark.schema.migrate import MigrationError
from tallymark.settings import Settings, SettingsError
from tallymark.terminal.screen import say

Command = TypeVar("Command", bound=Callable[..., Any])
Found = TypeVar("Found")

READER, WRITER, ADMIN = "tallymark_reader", "tallymark_writer", "tallymark_admin"

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: A command that runs for hours notices within seconds that the database or the network has gone without a word.
_WATCHFUL = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_LOCK_TIMEOUT = "2s"
#: Where the jobs are distributed, locks are waited for on the job's node, which is to have the same timeout.
_REACH_NODES = """
SELECT pg_catalog.set_config('citus.propagate_set_commands', 'local', true)
WHERE pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL
"""


class CannotRun(click.ClickException):
    """The command could not do its work; exit 1 is left to say that it did, and that something is wrong."""

    exit_code = 2


# --- options ---------------------------------------------------------------------------------------------------------


class Number(click.FloatRange):
    """A number within bounds. Unlike click's own it refuses `nan`, which no bound excludes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


def data_option(command: Command) -> Command:
    """Give a command the option `--data`; its argument `data` is None where it is not given."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Directory of the embedded database and its token.  [env: TALLYMARK_DATA_DIR]",
    )(command)


def finder_options(command: Command) -> Command:
    """Give a command `--database-url` and `--data`, and an argument `find` that returns the URL as it is now."""

    @click.option(
        "--database-url",
        metavar="URL",
        help="PostgreSQL URL of the database.  [env: DATABASE_URL; default: that of a running `tallymark up`]",
    )
    @data_option
    @wraps(command)
    def wrapped(*arguments: Any, database_url: str | None, data: Path | None, **options: Any) -> Any:  # noqa: ANN401 - as the command has it
        return command(*arguments, find=partial(find_database, database_url, data), **options)

    return wrapped  # type: ignore[return-value]  # click calls it by the names of its options


def database_options(command: Command) -> Command:
    """Give a command `--database-url` and `--data`, and an argument `url` instead of the two."""

    @finder_options
    @wraps(command)
    def wrapped(*arguments: Any, find: Callable[[], str], **options: Any) -> Any:  # noqa: ANN401 - as the command has it
        return command(*arguments, url=find(), **options)

    return wrapped  # type: ignore[return-value]  # click calls it by the names of its options


def json_option(meaning: str) -> Callable[[Command], Command]:
    """Make the option `--json`, which is the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=meaning)


def time_gone_by(_context: click.Context, _option: click.Parameter, value: str | None) -> timedelta | datetime | None:
    """Read the value of an option: an age, such as `2d`, or a date, which is in UTC unless it says otherwise."""
    if value is None:
        return None
    if span := re.fullmatch(r"([0-9]{1,5})([smhdw])", value, re.ASCII):
        return timedelta(**{_UNITS[span[2]]: int(span[1])})
    return _date(value, "an age")


def time_to_come(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """Read the value of an option: a time from now on, such as `90d`, or a date, as above."""
    if value is None:
        return None
    if span := re.fullmatch(r"([0-9]{1,9})([smhdw])", value, re.ASCII):
        try:
            return datetime.now(UTC) + timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            raise click.BadParameter(f"{value!r} is too far in the future") from None
    return _date(value, "a time from now on")


def _date(value: str, or_else: str) -> datetime:
    try:
        given = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither {or_else}, such as 2d or 12h, nor a date") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def print_json(document: object) -> None:
    """Print a document for scripts."""
    say(plain_json(document, indent=2))


# --- the database ----------------------------------------------------------------------------------------------------


def find_database(database_url: str | None, data: Path | None) -> str:
    """Return the libpq URL of the database; what the command line says goes before the environment."""
    if database_url and data:
        raise click.UsageError("give --database-url or --data, not both")
    if database_url:
        return database_url
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    if settings.database_url and not data:
        return settings.database_url
    # Imported here: most commands are given a URL and need no embedded server.
    from tallymark.server import running_url

    directory = (data or settings.data_dir).absolute()
    try:
        url = running_url(directory)
    except OSError as error:
        raise CannotRun(f"cannot use the data directory {directory}: {error}") from error
    if url is None:
        if data is not None:
            raise CannotRun(f"no `tallymark up` runs on {directory}; start it")
        raise CannotRun(
            f"DATABASE_URL is not set, and no `tallymark up` runs on {directory};"
            " set DATABASE_URL, or start `tallymark up`"
        )
    return url


@contextmanager
def explained(*also: type[Exception], role: str = READER) -> Iterator[None]:
    """Raise what fails on the way to the database, and errors `also`, as CannotRun. `role` is what the user needs."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise CannotRun(_unreachable(error)) from error
    except (psycopg.Error, MigrationError, *also) as error:  # type: ignore[misc]  # classes, as they are typed
        raise CannotRun(str(error).strip()) from error
    except TallymarkError as error:
        raise CannotRun(_sentence(error, role)) from error


@contextmanager
def connected(url: str, role: str = READER, *, unhurried: bool = False) -> Iterator[Connection]:
    """Connect, in autocommit, as a user that needs a role; what fails is explained as above.

    `unhurried` work has no limit of time.
    """
    with explained(role=role), connect(url, session=UNHURRIED if unhurried else None) as connection:
        take_role(connection, role, ADMIN)
        yield connection


class Away(Exception):  # noqa: N818 - reads as what it is in an except clause
    """The database cannot be read now. The text says why, in one line; `message` also what to do."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason)
        self.message = message or reason


class Database:
    """A database that may be away for a while. It is located again then, since it may come back on another port."""

    def __init__(
        self, find: Callable[[], str], *, application: str, role: str = READER, unhurried: bool = False
    ) -> None:
        """Connect to nothing yet. `application` is our name in the server's lists; `unhurried` is as above."""
        self._find = find
        self._application = application
        self._session = UNHURRIED if unhurried else None
        self._role = role
        self._connection: Connection | None = None

    def read(self, ask: Callable[[Connection], Found]) -> Found:
        """Call a function with a connection; Away is raised where trying again may help, else CannotRun."""
        try:
            if self._connection is None:
                self._connection = connect(
                    self._url(), application=self._application, session=self._session, **_WATCHFUL
                )
                take_role(self._connection, self._role, ADMIN)
            return ask(self._connection)
        except psycopg.OperationalError as error:
            self.close()
            raise Away(_reason(error), _unreachable(error)) from error
        except psycopg.Error as error:
            raise CannotRun(str(error).strip()) from error
        except TallymarkError as error:
            if error.sqlstate in OTHER_RELEASE:
                self.close()
                raise Away(NOT_INSTALLED) from error
            if isinstance(error, Unavailable) and error.sqlstate != NO_RIGHT:
                self.close()
                raise Away(_reason(error.__cause__ or error)) from error
            raise CannotRun(_sentence(error, self._role)) from error

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


@contextmanager
def short_lock(connection: Connection, *, undo: bool = False) -> Iterator[None]:
    """Run the block in a transaction of its own that does not wait for a lock for long; `undo` takes it back.

    A crawler in a long transaction may hold a job's row.
    """
    with connection.transaction(force_rollback=undo):
        connection.execute(_REACH_NODES)
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_TIMEOUT))
        yield


def server_time(connection: Connection) -> datetime:
    """Return the time by the server's clock, by which updates are recorded."""
    now: datetime = call.server_time(connection)
    return now


def one_line(reason: str) -> str:
    """Return what PostgreSQL or libpq says in one line, without the guesses that libpq adds in indented ones."""
    return " ".join(line for line in reason.splitlines() if line and not line[0].isspace())


def _reason(error: BaseException) -> str:
    """Say in one line why a connection failed."""
    return one_line(str(error)).removeprefix("connection failed: ") or type(error).__name__


def _unreachable(error: psycopg.Error) -> str:
    return f"cannot reach the database: {_reason(error)}; check --database-url or DATABASE_URL, or start `tallymark up`"


def _sentence(error: TallymarkError, role: str) -> str:
    """Say what was wrong, and what to do, in one line."""
    if error.sqlstate == NO_RIGHT:
        if isinstance(error, NotGranted) and error.lacks.startswith("USAGE"):
            return f"this user of the database lacks {error.lacks}: {error.hint}"
        return f"this user of the database lacks {role}; grant that role to it, or name another user in the URL"
    if error.sqlstate in OTHER_RELEASE:
        return NOT_INSTALLED
    if error.details:
        return f"{error}: " + "; ".join(f"{problem['field']} {problem['problem']}" for problem in error.details)
    # What PostgreSQL answered is more exact than what the wire protocol does.
    reason = error.explanation or str(error.__cause__ or "").strip()
    return " ".join(filter(None, (f"{error}.", reason, error.hint)))
