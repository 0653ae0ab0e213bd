"""Commands for one job: job create, show, command, diagnose."""

import getpass
import json
from typing import Any

import click

from tallymark import functions
from tallymark.cli.connect import connected, server_time
from tallymark.cli.diagnose import diagnose
from tallymark.cli.options import database_options, json_option
from tallymark.functions.call import Json

#: How many types and stages `show` has room for; `--json` has all types.
_TYPES, _STAGES = 20, 15


def _attributes(_context: click.Context, _option: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Return the attributes that were given as JSON."""
    if value is None:
        return None
    try:
        attributes = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"is no JSON: {error}") from None
    if not isinstance(attributes, dict):
        raise click.BadParameter("must be a JSON object")
    return attributes


@click.group()
def job() -> None:
    """Register a job, look at it, ask something of its crawler."""


job.add_command(diagnose)


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--attributes",
    callback=_attributes,
    metavar="JSON",
    help="""The registrar's own, such as '{"counting": "cumulative"}'.""",
)
@json_option("Print the job, and whether it was `created` now.")
@database_options
def create(job_id: str, url: str, attributes: dict[str, Any] | None, *, as_json: bool) -> None:
    """Register JOB, so that crawlers can report on it. Registering it again changes nothing."""
    with connected(url) as connection:
        made = functions.create_job(connection, job_id, attributes)
    if as_json:
        _print_json(made)
    else:
        _confirm(job_id, "is registered" if made["created"] else "was registered before")


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--timeline",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many of its newest events go along.",
)
@click.option(
    "--at", type=click.IntRange(min=0), metavar="SEQ", help="As it was after this event, 0 is before the first."
)
@json_option("Print the job as HTTP gives it.")
@database_options
def show(job_id: str, url: str, timeline: int, at: int | None, *, as_json: bool) -> None:
    """Show JOB: how far it is, how fast, what it has counted, its stages and its newest events."""
    with connected(url) as connection:
        if at is None:
            found = functions.get_job(connection, job_id, timeline_limit=timeline)
        else:
            found = functions.job_at(connection, job_id, at, timeline_limit=timeline)
        if as_json:
            _print_json(found)
            return
        # Imported here: `tallymark --help` imports this module, and needs nothing to draw.
        from tallymark.cli.figures import read_rate, read_stalled

        now = server_time(connection)
        if at is None:
            rate = read_rate(connection, job_id)
            stalled = read_stalled(connection, [found]).get(job_id)
            durations = functions.stage_durations(connection, job_id)
        else:
            # These would be those of the job as it is.
            rate, stalled, durations = None, None, []

    from tallymark.terminal import events, job_view
    from tallymark.terminal.rows import Shown
    from tallymark.terminal.screen import make_console, room_of, show_parts

    console = make_console()
    room = room_of(console)
    newest = events.events_of(found)
    show_parts(
        console,
        job_view.head(Shown(found, rate, stalled is not None), now=now, room=room, stalled=stalled, at=at),
        job_view.counts(found, room, _TYPES),
        job_view.stages(durations, room, _STAGES),
        events.event_lines(newest, room) if newest else [],
    )


@job.command()
@click.argument("job_id", metavar="JOB")
@click.argument("command", type=click.Choice(["pause", "resume", "cancel"]))
@click.option("--by", metavar="NAME", help="Who asks, for the record.  [default: the user who runs this]")
@json_option("Print the job.")
@database_options
def command(job_id: str, url: str, command: str, by: str | None, *, as_json: bool) -> None:
    """Ask the crawler of JOB to pause, resume or cancel; it hears of it with its next update."""
    with connected(url) as connection:
        asked = functions.request_command(connection, job_id, command, requested_by=by or _user())
    if as_json:
        _print_json(asked)
    else:
        _confirm(job_id, f"which is {asked['status']}, is asked to {asked['command']}", comma=True)


def _print_json(document: Json) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _confirm(job_id: str, what: str, *, comma: bool = False) -> None:
    from tallymark.terminal.text import plain

    click.secho(f"job {plain(job_id)}{',' if comma else ''} {what}", fg="green")


def _user() -> str | None:
    """Return the name of the user who runs this, where the machine knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
