"""The command that puts a server to the test with a crowd of crawlers: simulate."""

import json
import logging
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from tallymark.cli.interrupt import Interrupt
from tallymark.cli.options import CannotRun, Number, data_option, json_option
from tallymark.settings import Settings, SettingsError

if TYPE_CHECKING:
    from tallymark.simulate.crowd import Crowd
    from tallymark.simulate.verdict import Verdict

#: What a shell says of a command that Ctrl-C ended.
_INTERRUPTED = 130
#: For how many seconds updates are waited for at the end.
_SETTLE_SECONDS = 60.0
#: The network is a bad one for so many of them: whoever failed often waits long before each new try.
_STILL_BAD_SECONDS = 3.0
_LOOK_SECONDS = 0.25
#: Room for what is added to the prefix, in the id of a job.
_LONGEST_PREFIX = 200


class View(Protocol):
    """How the run is shown."""

    def work(self, crowd: "Crowd", doing: str) -> None:
        """Show the crowd at work."""

    def close(self) -> None:
        """Leave the last picture as it is."""


def _prefix(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if len(value) > _LONGEST_PREFIX or "\0" in value:
        raise click.BadParameter(f"must have at most {_LONGEST_PREFIX} characters")
    return value


@click.command()
@click.option("--url", metavar="URL", help="The server's address.  [env: TALLYMARK_URL]")
@click.option("--token", metavar="TOKEN", help="A token that may do everything.  [env: CRAWLER_API_TOKEN]")
@data_option
@click.option("--jobs", type=click.IntRange(1, 1000), default=20, show_default=True, help="Jobs at once.")
@click.option(
    "--seconds",
    type=Number(1, 86_400),
    default=60.0,
    show_default=True,
    metavar="N",
    help="For how long.",
)
@click.option(
    "--rate",
    type=Number(0.1, 100_000),
    default=60.0,
    show_default=True,
    metavar="N",
    help="Items a second of each job.",
)
@click.option("--chaos/--no-chaos", default=True, help="Lose, double and delay requests and answers, or do not.")
@click.option("--prefix", default="demo-", show_default=True, callback=_prefix, help="What the jobs' ids begin with.")
@click.option("--seed", type=int, metavar="N", help="Draw the same crawls again.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
@json_option("Print what came of it as one JSON object.")
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
    """Let a crowd of lifelike crawlers loose on a running server, over a bad network, and see that it counts right.

    They discover, crawl and collect; fail, are paused, cancelled, killed and restarted; a quarter of them are old
    crawlers that speak the plain protocol. Each knows what it has really done. At the end every job is read back.

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
        raise CannotRun(f"{error}; start `tallymark up`, or name the server with --url and --token") from error
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    options = Options(jobs=jobs, seconds=seconds, rate=rate, prefix=prefix, seed=seed, chaos=chaos)
    view = _view(as_json=as_json, svg=svg)
    with Interrupt() as interrupt:
        try:
            with Crowd(url, token, options) as crowd:
                stopped, verdict = _run(crowd, view, interrupt)
        finally:
            view.close()
    _tell(verdict, seed, as_json=as_json)
    if stopped:
        sys.exit(_INTERRUPTED)
    sys.exit(0 if verdict.is_exact else 1)


def _run(crowd: "Crowd", view: View, interrupt: Interrupt) -> tuple[bool, "Verdict"]:
    """Let them work, wait until all is delivered, and read it back; return whether that was ended early."""
    from tallymark.simulate.verdict import judge

    stopped = False
    while crowd.busy and not stopped and (left := crowd.options.seconds - crowd.elapsed) > 0:
        view.work(crowd, f"{left:.0f} s to go" if left >= 1 else "nearly over")
        stopped = interrupt.wait(min(_LOOK_SECONDS, left))
    crowd.end()
    give_up = crowd.elapsed + _SETTLE_SECONDS
    # Another Ctrl-C ends the waiting, too: what is not delivered then is in the verdict.
    with Interrupt() as again:
        while (busy := crowd.busy) and crowd.elapsed < give_up:
            view.work(crowd, f"settling, {busy} deliver" + ("" if busy > 1 else "s"))
            if crowd.elapsed > give_up - _SETTLE_SECONDS + _STILL_BAD_SECONDS:
                crowd.calm()
            if again.wait(_LOOK_SECONDS):
                break
        crowd.abandon()

        def progress(verdict: "Verdict") -> None:
            view.work(crowd, f"reading back, {verdict.checked} of {verdict.jobs}")

        return stopped, judge(crowd.server, crowd.crawlers, progress)


def _place(url: str | None, token: str | None, data: Path | None) -> tuple[str, str]:
    """Find the server and a token, where they are not given."""
    from tallymark.server.private_files import read_private

    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    if token is None and settings.crawler_api_tokens and data is None:
        token = settings.crawler_api_tokens[0]
    if token is None:
        path = (data or settings.data_dir) / "token"
        try:
            token = read_private(path).strip()
        except OSError as error:
            raise CannotRun(
                f"no token: there is no --token, no CRAWLER_API_TOKEN, and {path} cannot be read ({error.strerror})"
            ) from error
    return (url or settings.url).rstrip("/"), token


def _view(*, as_json: bool, svg: Path | None) -> View:
    from tallymark.terminal.screen import make_console

    console = make_console()
    if svg is not None or (console.is_terminal and not console.is_dumb_terminal and not as_json):
        from tallymark.simulate.screen import TableView

        return TableView(console, svg)
    from tallymark.simulate.screen import LineView

    return LineView()


def _tell(verdict: "Verdict", seed: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**verdict.as_json(), "seed": seed}, ensure_ascii=False))
        return
    from rich.text import Text

    from tallymark.simulate.picture import difference_lines
    from tallymark.terminal.screen import make_console, room_of, show
    from tallymark.terminal.text import wrapped

    console = make_console()
    room = room_of(console)
    if not verdict.is_exact:
        show(console, [*difference_lines(verdict.differences, room), Text(f"the same crawls again: --seed {seed}")])
    show(console, wrapped(Text(verdict.words(), "green" if verdict.is_exact else "bold red"), room))
