"""The command that follows jobs: watch."""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import click

from tallymark.cli.connect import Away, Database, server_time
from tallymark.cli.interrupt import Interrupt, Interrupted
from tallymark.cli.options import CannotRun, Number, finder_options, json_option
from tallymark.cli.watched import NamedJobs, RunningJobs, Watched
from tallymark.functions.call import Connection, Json

#: What a shell says of a command that Ctrl-C ended.
_INTERRUPTED = 130
#: After a look that took long, for how many times as long the database is left alone.
_REST = 3


class View(Protocol):
    """How the jobs are shown."""

    def read(self, connection: Connection, watched: Watched, new: list[Json], now: datetime) -> None:
        """Read what is shown of them beside what they hold."""

    def draw(self) -> None:
        """Show what was read last."""

    def away(self, reason: str) -> None:
        """Show that the database is away."""

    def close(self) -> None:
        """Leave the last picture as it is."""


@click.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1)
@click.option(
    "--interval",
    type=Number(0.2, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How long from one look to the next.",
)
@click.option("--until-done", is_flag=True, help="End when all JOBs have finished, or when one will not.")
@json_option("Print a job as JSON, on one line, whenever something is new of it.")
@finder_options
def watch(
    job_ids: tuple[str, ...], find: Callable[[], str], interval: float, *, until_done: bool, as_json: bool
) -> None:
    """Follow each JOB, or all jobs that run, until Ctrl-C. Where there is no terminal, print a line for each change.

    Of a single JOB the newest events are shown, too.

    Ctrl-C exits 0. With --until-done exits 0 when every JOB has finished, 1 as soon as one has failed, was cancelled
    or is gone, and 130 on Ctrl-C.
    """
    if until_done and not job_ids:
        raise click.UsageError("Until which jobs are done? Name them.")
    named = NamedJobs(job_ids) if job_ids else None
    with Interrupt() as interrupt:
        view = _view(single=len(set(job_ids)) == 1, interval=interval, as_json=as_json)
        try:
            code = _follow(
                Database(find), named or RunningJobs(), view, interrupt, interval, named if until_done else None
            )
        finally:
            view.close()
    sys.exit(_INTERRUPTED if code is None and until_done else code)


def _follow(
    database: Database, watched: Watched, view: View, interrupt: Interrupt, interval: float, until: NamedJobs | None
) -> int | None:
    """Look and show, again and again.

    Returns:
        The exit code once all is done; None when this process was asked to end before.
    """

    def look(connection: Connection) -> None:
        now = server_time(connection)
        view.read(connection, watched, watched.read(connection, now), now)

    seen = False
    try:
        while True:
            began = time.monotonic()
            try:
                with interrupt.breaks():
                    database.read(look)
            except Away as away:
                # Who mistypes a name is told so; what was there once will come back.
                if not seen:
                    raise CannotRun(str(away)) from away
                view.away(str(away))
            else:
                seen = True
                view.draw()
                if until is not None and (code := until.exit_code()) is not None:
                    return code
            took = time.monotonic() - began
            if interrupt.wait(max(interval, took * _REST)):
                return None
    except Interrupted:
        return None
    finally:
        database.close()


def _view(*, single: bool, interval: float, as_json: bool) -> View:
    # Imported here: `tallymark --help` imports this module, and needs nothing to draw.
    from tallymark.terminal.screen import make_console

    console = make_console()
    if as_json or not console.is_terminal or console.is_dumb_terminal:
        return _Lines(as_json=as_json)
    from tallymark.cli.live import JobView, TableView

    return JobView(console) if single else TableView(console, interval)


class _Lines:
    """A line for each change, which other programs can read."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._new: list[Json] = []
        self._gone: set[str] = set()
        self._away = False

    def read(self, _connection: Connection, watched: Watched, new: list[Json], _now: datetime) -> None:
        self._new = new
        for job_id in sorted(watched.gone - self._gone):
            self._say(f"job {job_id} is gone")
        self._gone = set(watched.gone)

    def draw(self) -> None:
        from tallymark.terminal.text import plain

        if self._away:
            self._say("the database is back")
            self._away = False
        for job in self._new:
            if self._as_json:
                click.echo(json.dumps(job, ensure_ascii=False))
                continue
            told = [job["updatedAt"], job["id"], job["status"], job["summary"], job["progress"].get("stage")]
            if job["command"]:
                told.append(f"{job['command']} asked")
            click.echo("  ".join(plain(text) for text in told if text))

    def away(self, reason: str) -> None:
        if not self._away:
            self._say(f"the database is away, trying again: {reason}")
        self._away = True

    def close(self) -> None:
        """Do nothing: every line is out."""

    def _say(self, what: str) -> None:
        """Say on standard error what is no job's line."""
        from tallymark.terminal.text import plain

        click.echo(f"tallymark: {plain(what)}", err=True)
