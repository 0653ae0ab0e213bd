"""The command that tests a server with a crowd of crawlers: simulate."""

import logging
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from tallymark.cli.common import CannotRun, Number, data_option, json_option
from tallymark.cli.interrupt import INTERRUPTED, Interrupt
from tallymark.plain import plain_json
from tallymark.settings import Settings, SettingsError
from tallymark.terminal.screen import can_redraw, make_console, room_of, say, show

if TYPE_CHECKING:
    from tallymark.simulate.picture import LineView, TableView

#: Job ids have at most 255 characters: this leaves room for what is added to the prefix.
_LONGEST_PREFIX = 200


def _prefix(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if len(value) > _LONGEST_PREFIX or "\0" in value:
        raise click.BadParameter(f"must have at most {_LONGEST_PREFIX} characters, and none of them NUL")
    return value


@click.command()
@click.option(
    "--url",
    metavar="URL",
    help="Address of the server.  [env: TALLYMARK_URL; default: that of a running `tallymark up`]",
)
@click.option(
    "--token",
    metavar="TOKEN",
    help="Token with the scope admin.  [env: CRAWLER_API_TOKEN; default: that of the running `tallymark up`]",
)
@data_option
@click.option("--jobs", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many jobs at once.")
@click.option("--seconds", type=Number(1, 86_400), default=60.0, metavar="SECONDS", help="How long they work.")
@click.option("--rate", type=Number(0.1, 100_000), default=60.0, metavar="N", help="Items a second of each job.")
@click.option("--chaos/--no-chaos", default=True, help="Lose, double and delay requests and answers, or do not.")
@click.option("--prefix", default="demo-", metavar="TEXT", callback=_prefix, help="Begin job ids with this text.")
@click.option("--seed", type=int, metavar="N", help="Repeat the crawls of an earlier run.  [default: random]")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
@json_option("Print the verdict as one JSON object.")
def simulate(
    url: str | None,
    token: str | None,
    data: Path | None,
    jobs: int,
    seconds: float,
    rate: float,
    prefix: str,
    seed: int | None,
    svg: Path | None,
    *,
    chaos: bool,
    as_json: bool,
) -> None:
    """Test a running server with a crowd of crawlers.

    Their network is bad. They discover, crawl and collect; fail, are paused, cancelled, killed and restarted. A quarter
    of them are old crawlers, which speak the plain protocol. Each knows what it has really done. At the end every job
    is read back from the server and compared with that: the verdict.

    Exits 0 when every count is exact, 1 with a table of the differences when not, 130 on Ctrl-C.
    """
    from tallymark.simulate.crowd import Crowd, Options
    from tallymark.simulate.server import Server, ServerError

    # Its warnings are of what is done to it on purpose, and would break the picture.
    logging.getLogger("tallymark.client").addHandler(logging.NullHandler())
    url, token = _place(url, token, data)
    try:
        Server(url, token).check()
    except (ServerError, ValueError) as error:
        raise CannotRun(f"{error}; check --url and --token") from error
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    options = Options(jobs=jobs, seconds=seconds, rate=rate, prefix=prefix, seed=seed, chaos=chaos)
    view = _view(as_json=as_json, svg=svg)
    try:
        with Interrupt() as interrupt, Crowd(url, token, options) as crowd:
            stopped = crowd.work(lambda doing: view.show(crowd, doing), interrupt.wait)
            # Another Ctrl-C ends the waiting, too.
            with Interrupt() as again:
                verdict = crowd.settle(lambda doing: view.show(crowd, doing), again.wait)
    finally:
        view.close()
    if as_json:
        say(plain_json({**verdict.as_json(), "seed": seed}))
    else:
        from tallymark.simulate.picture import verdict_lines

        console = make_console()
        show(console, verdict_lines(verdict, seed, room_of(console)))
    if stopped:
        sys.exit(INTERRUPTED)
    sys.exit(0 if verdict.is_exact else 1)


def _place(url: str | None, token: str | None, data: Path | None) -> tuple[str, str]:
    """Find the server and a token, where they are not given.

    The token in a data directory goes to the server that runs on it, and to no other.
    """
    from tallymark.server import running_web_url
    from tallymark.server.private_files import read_private

    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    url = url or ("" if data else settings.url)
    if token is None and settings.crawler_api_tokens and data is None:
        token = settings.crawler_api_tokens[0]
    directory = (data or settings.data_dir).absolute()
    try:
        running = None if url and token else running_web_url(directory)
        if not url and running is None:
            raise CannotRun(f"no `tallymark up` runs on {directory}; start it, or name a server with --url and --token")
        if url and token is None and (running is None or _place_of(url) != _place_of(running)):
            raise CannotRun(
                f"no token for {url}: it is not the server of {directory}; give --token, or set CRAWLER_API_TOKEN"
            )
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


def _view(*, as_json: bool, svg: Path | None) -> "LineView | TableView":
    from tallymark.simulate.picture import LineView, TableView

    console = make_console()
    if svg is not None or (can_redraw(console) and not as_json):
        return TableView(console, svg)
    return LineView()
