"""The command that tests a server with a crowd of crawlers: simulate."""

import logging
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallymark.cli.common import CannotRun, Number, data_option, json_option
from tallymark.cli.interrupt import INTERRUPTED, Interrupt
from tallymark.cli.reporting import find_server
from tallymark.plain import plain_json
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
    url, token = find_server(url, token, data)
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


def _view(*, as_json: bool, svg: Path | None) -> "LineView | TableView":
    from tallymark.simulate.picture import LineView, TableView

    console = make_console()
    if svg is not None or (can_redraw(console) and not as_json):
        return TableView(console, svg)
    return LineView()
