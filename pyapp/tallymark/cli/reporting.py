"""What the commands share that report to a server: where it is, the token, and the client."""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

import click

from tallymark.cli.common import CannotRun, data_option
from tallymark.plain import plain
from tallymark.settings import Settings, SettingsError
from tallymark.terminal.screen import say

if TYPE_CHECKING:
    from tallymark.client import Job, ProgressClient

Command = TypeVar("Command", bound=Callable[..., Any])

#: The exit status of a process that a signal ended is this and the signal's number.
BY_SIGNAL = 128
#: How long a job's start and its end wait for the server: the command, or the next one in a pipe, waits for that.
_START_SECONDS, _END_SECONDS = 3.0, 10.0


class Place(NamedTuple):
    """A server, a token for it, and the directory for updates that it does not have yet."""

    url: str
    token: str
    spool: Path


def reporting_options(command: Command) -> Command:
    """Give a command the options of a reporter: `--worker`, and those of which its argument `place` is made."""

    @click.option(
        "--url",
        metavar="URL",
        help="Address of the server.  [env: TALLYMARK_URL; default: that of a running `tallymark up`]",
    )
    @click.option(
        "--token",
        metavar="TOKEN",
        help="Token with the scope write.  [env: TALLYMARK_TOKEN, CRAWLER_API_TOKEN; default: that of the running "
        "`tallymark up`]",
    )
    @data_option
    @click.option(
        "--spool",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Directory for updates that the server does not have yet.  [env: TALLYMARK_SPOOL]",
    )
    @click.option("--worker", metavar="NAME", help="Name of this process, if several report on JOB.")
    @wraps(command)
    def wrapped(
        *arguments: Any,  # noqa: ANN401 - as the command has it
        url: str | None,
        token: str | None,
        data: Path | None,
        spool: Path | None,
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        found, secret = find_server(url, token, data, also="TALLYMARK_TOKEN")
        return command(*arguments, place=Place(found, secret, spool or Settings.from_env().spool), **options)

    return wrapped  # type: ignore[return-value]  # click calls it by the names of its options


def find_server(url: str | None, token: str | None, data: Path | None, *, also: str | None = None) -> tuple[str, str]:
    """Find the server and a token, where they are not given. `also`: a setting with a token, before CRAWLER_API_TOKEN.

    The token in a data directory goes to the server that runs on it, and to no other.
    """
    from tallymark.server import running_web_url
    from tallymark.server.private_files import read_private

    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    url = url or ("" if data else settings.url)
    if token is None and data is None:
        token = (settings.token if also else "") or next(iter(settings.crawler_api_tokens), None)
    directory = (data or settings.data_dir).absolute()
    try:
        running = None if url and token else running_web_url(directory)
        if not url and running is None:
            raise CannotRun(f"no `tallymark up` runs on {directory}; start it, or name a server with --url and --token")
        if url and token is None and (running is None or _place_of(url) != _place_of(running)):
            names = f"{also} or CRAWLER_API_TOKEN" if also else "CRAWLER_API_TOKEN"
            raise CannotRun(f"no token for {url}: it is not the server of {directory}; give --token, or set {names}")
        token = token or read_private(directory / "token").strip()
    except OSError as error:
        raise CannotRun(f"cannot use the data directory {directory}: {error}; give --url and --token") from error
    return (url or running or "").rstrip("/"), token


def _place_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL; all names of this machine are one."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise CannotRun(f"{url} is not the address of a server: {error}") from error
    host = parts.hostname or ""
    return parts.scheme, "127.0.0.1" if host in {"localhost", "::1"} else host, port


def make_job(
    place: Place, job_id: str, worker: str | None, on_command: Callable[[str], object] | None
) -> "tuple[ProgressClient, Job]":
    """Make a client and a job, which is not started. The client's warnings are lines on standard error."""
    from tallymark.client import ProgressClient

    _show_warnings()
    try:
        client = ProgressClient(
            place.url,
            token=place.token,
            spool=place.spool,
            start_timeout=_START_SECONDS,
            end_timeout=_END_SECONDS,
            on_sigterm=None,
        )
        return client, client.job(job_id, worker=worker, on_command=on_command)
    except (TypeError, ValueError) as error:
        raise CannotRun(str(error)) from error


class _Lines(logging.Handler):
    """Prints records as the commands print what they say."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record; standard error may be closed."""
        with suppress(Exception):
            say(f"tallymark: {plain(record.getMessage())}", err=True)


def _show_warnings() -> None:
    logger = logging.getLogger("tallymark.client")
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.addHandler(_Lines(logging.WARNING))
        logger.propagate = False


def fill_standard_streams() -> None:
    """Open /dev/null in the place of standard streams that are closed: a file opened later would get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free.
            os.open(os.devnull, os.O_RDWR)


def end_by(number: int) -> NoReturn:
    """End this process as a signal does, so that the process that waits for it sees the same exit status."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    # The first process of a container cannot end itself by a signal.
    os._exit(BY_SIGNAL + number)
