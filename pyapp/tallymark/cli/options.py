"""The options by which commands find the database, and other options that several have."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from tallymark.settings import Settings, SettingsError

Command = TypeVar("Command", bound=Callable[..., Any])

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class CannotRun(click.ClickException):
    """The command could not do its work; exit 1 is left to say that it did and that something is wrong."""

    exit_code = 2


class Number(click.FloatRange):
    """A number within bounds; unlike click's own it refuses `nan`, which is outside of no bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail("is no number", param, ctx)
        return number


def data_option(command: Command) -> Command:
    """Give a command the option `--data`, which is None when it is not given."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where the embedded database and the token are kept.  [default: TALLYMARK_DATA_DIR]",
    )(command)


def database_options(command: Command) -> Command:
    """Give a command the options `--database-url` and `--data`, and an argument `url` instead of the two."""

    @finder_options
    @wraps(command)
    def wrapped(*arguments: Any, find: Callable[[], str], **options: Any) -> Any:  # noqa: ANN401 - as the command has it
        return command(*arguments, url=find(), **options)

    return wrapped  # type: ignore[return-value]  # click calls it by the names of its options


def finder_options(command: Command) -> Command:
    """Give a command the options of `database_options`, and an argument `find` that gives the URL, each time anew."""

    @click.option("--database-url", metavar="URL", help="The database, as libpq takes it.  [env: DATABASE_URL]")
    @data_option
    @wraps(command)
    def wrapped(*arguments: Any, database_url: str | None, data: Path | None, **options: Any) -> Any:  # noqa: ANN401 - as the command has it
        return command(*arguments, find=partial(find_database, database_url, data), **options)

    return wrapped  # type: ignore[return-value]  # click calls it by the names of its options


def json_option(meaning: str) -> Callable[[Command], Command]:
    """Make the option `--json`, which is the argument `as_json`.

    Args:
        meaning: What it prints.

    Returns:
        What gives it to a command.
    """
    return click.option("--json", "as_json", is_flag=True, help=meaning)


def time_gone_by(_context: click.Context, _option: click.Parameter, value: str | None) -> timedelta | datetime | None:
    """Read the value of an option: so long ago, such as `2d`, or a date, which is in UTC unless it says so.

    Args:
        value: What was given.

    Returns:
        How long ago, or when; None where nothing was given.

    Raises:
        click.BadParameter: It is neither.
    """
    if value is None:
        return None
    if span := re.fullmatch(r"([0-9]{1,5})([smhdw])", value, re.ASCII):
        return timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        given = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither so long ago, such as 2d or 12h, nor a date") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def find_database(database_url: str | None, data: Path | None) -> str:
    """Find the database that a command is for.

    What the command line says goes before what the environment says.

    Args:
        database_url: What `--database-url` gave.
        data: What `--data` gave.

    Returns:
        A libpq URL; where the embedded server runs it carries the password.

    Raises:
        click.UsageError: Both were given.
        CannotRun: Neither DATABASE_URL nor a running embedded server is there, or a setting is bad.
    """
    if database_url and data:
        raise click.UsageError("Which database? Give --database-url or --data, not both.")
    if database_url:
        return database_url
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    if settings.database_url and not data:
        return settings.database_url
    # Imported here, so that the commands that have no use for it start without the database driver.
    from tallymark.server import running_url

    directory = (data or settings.data_dir).absolute()
    try:
        url = running_url(directory)
    except OSError as error:
        raise CannotRun(f"cannot use the data directory {directory}: {error}") from error
    if url is None:
        unset = "" if settings.database_url else "no DATABASE_URL is set, and "
        raise CannotRun(f"{unset}no `tallymark up` runs on {directory}")
    return url
