"""Commands that look at jobs, and register and command them: jobs, job create, show, command, diagnose."""

import getpass
import json
import os.path
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
from rich.text import Text

from tallymark import functions
from tallymark.cli.common import (
    WRITER,
    CannotRun,
    connected,
    database_options,
    json_option,
    print_json,
    server_time,
    time_gone_by,
)
from tallymark.functions.call import Connection, Json
from tallymark.plain import plain
from tallymark.settings import Settings, SettingsError
from tallymark.terminal import job_view, screen
from tallymark.terminal.rows import Shown, table, totals
from tallymark.terminal.text import wrapped

#: How many jobs `list_jobs` returns at most at a time.
PAGE = 1_000
#: A rate is a query of its own, which reads some minutes of a ledger: at most so many for one table.
MOST_RATES = 50
#: The statuses of jobs that `stalled_jobs` judges.
_MAY_STALL = frozenset({"running", "waiting", "queued"})
#: What is said of a job that stalls, by its state.
_MARKS = {"stuck": "stuck", "silent": "stalled", "never_reported": "never reported"}
#: How many types and stages `show` has room for; `--json` has all types.
_TYPES, _STAGES = 20, 15
#: How many jobs of its family, and how many runs before it, `show` has room for.
_MEMBERS, _RUNS = 20, 10
_SEVERITY_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}
#: Where what a finding says begins, after its severity.
_INDENT = 10


def _attributes(_context: click.Context, _option: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Read the value of --attributes."""
    if value is None:
        return None
    try:
        attributes = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"is not JSON: {error}") from None
    if not isinstance(attributes, dict):
        raise click.BadParameter("must be a JSON object")
    return attributes


def _wanted(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, str] | None:
    """Read the values of --attribute."""
    wanted: dict[str, str] = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign or not name or name in wanted:
            raise click.BadParameter("must be NAME=VALUE, and each name may be given once")
        wanted[name] = text
    return wanted or None


@click.command()
@click.option("--status", metavar="STATUS", help="Only jobs with this status, such as running or failed.")
@click.option("--stage", metavar="STAGE", help="Only jobs in this stage.")
@click.option("--operation-type", metavar="TYPE", help="Only jobs with this operation, such as data_collection.")
@click.option("--item-type", metavar="TYPE", help="Only jobs that have counted items of this type.")
@click.option(
    "--attribute",
    "attributes",
    callback=_wanted,
    multiple=True,
    metavar="NAME=VALUE",
    help="Only jobs that were registered with this attribute. May be given up to 8 times.",
)
@click.option("--series", metavar="SERIES", help="Only runs of this series.")
@click.option("--parent", metavar="JOB", help="Only jobs that are part of this one.")
@click.option("--q", metavar="TEXT", help="Only jobs with this text in their ids.")
@click.option("--prefix", "id_prefix", metavar="TEXT", help="Only jobs whose ids begin with this text.")
@click.option(
    "--since",
    callback=time_gone_by,
    metavar="AGE|DATE",
    help="Only jobs updated within this time (30m, 1h, 2d, 1w) or since this date (ISO 8601, UTC).",
)
@click.option("--limit", type=click.IntRange(min=1), default=100, metavar="N", help="At most so many jobs.")
@click.option("--cursor", metavar="CURSOR", help="Continue an earlier list: the `next` of its --json.")
@json_option("""Print {"jobs": [...], "next": CURSOR} as HTTP does.""")
@database_options
def jobs(
    url: str,
    limit: int,
    cursor: str | None,
    since: timedelta | datetime | None,
    *,
    as_json: bool,
    **filters: Any,  # noqa: ANN401 - texts, and the attributes
) -> None:
    """List jobs: status, progress, rate, and last update.

    Jobs are in the order of their ids. A job is marked when it has had no update for longer than is usual for it: as
    stuck where its crawler gives signs of life, else as stalled. Rates are shown for the first 50 running jobs, since
    each takes a query of its own.
    """
    with connected(url) as connection:
        now = server_time(connection)
        updated_since = now - since if isinstance(since, timedelta) else since
        page = list_jobs(connection, limit, cursor=cursor, updated_since=updated_since, **filters)
        if as_json:
            print_json(page)
            return
        found = page["jobs"]
        rates, stalled = read_rates(connection, found), read_stalled(connection, found)
    if not found:
        is_filtered = any(value is not None for value in (*filters.values(), since, cursor))
        screen.say(
            "no job matches" if is_filtered else "no jobs yet: register one with `tallymark job create JOB`", err=True
        )
        return
    shown = [Shown(job, rates.get(job["id"]), mark_of(stalled.get(job["id"]))) for job in found]
    console = screen.make_console()
    room = screen.room_of(console)
    headings, lines = table(shown, now, room)
    last = totals(shown)
    if page["next"] is not None:
        last.append(f"; there are more: see --limit, or --cursor {page['next']}")
    screen.show(console, [headings, *(line for of_one in lines for line in of_one), *wrapped(last, room)])


@click.group()
def job() -> None:
    """Register, show, command or diagnose one job."""


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--attributes",
    callback=_attributes,
    metavar="JSON",
    help="""Attributes of your own, such as '{"account": "acme"}'.""",
)
@click.option("--series", metavar="SERIES", help="The crawl, run again and again, that it is a run of.")
@click.option("--parent", metavar="JOB", help="The job that it is part of.")
@json_option("Print the job, and whether it was `created` now.")
@database_options
def create(
    job_id: str,
    url: str,
    attributes: dict[str, Any] | None,
    series: str | None,
    parent: str | None,
    *,
    as_json: bool,
) -> None:
    """Register JOB, so that crawlers can report on it.

    Registering it again changes nothing. The attribute {"counting": "cumulative"} says that its crawlers send running
    totals as itemsByType, not increments. --series is the attribute "series".
    """
    if series is not None:
        attributes = {**(attributes or {}), "series": series}
    with connected(url, WRITER) as connection:
        made = functions.create_job(connection, job_id, attributes, parent=parent)
    if as_json:
        print_json(made)
    else:
        what = "is registered" if made["created"] else "was registered before"
        screen.say(screen.Styled(f"job {plain(job_id)} {what}", "green"))


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--timeline", type=click.IntRange(min=0), default=10, metavar="N", help="How many of its newest events to show."
)
@click.option(
    "--at", type=click.IntRange(min=0), metavar="SEQ", help="Show it as it was after this event; 0 is before the first."
)
@json_option("Print the job as HTTP does.")
@database_options
def show(job_id: str, url: str, timeline: int, at: int | None, *, as_json: bool) -> None:
    """Show JOB: progress, rate, counts, stages, what it waited for, what is part of it, and newest events."""
    with connected(url) as connection:
        if at is None:
            found = functions.get_job(connection, job_id, timeline_limit=timeline)
        else:
            found = functions.job_at(connection, job_id, at, timeline_limit=timeline)
        if as_json:
            print_json(found)
            return
        now = server_time(connection)
        if at is None:
            rate = read_rate(connection, job_id)
            stalled = read_stalled(connection, [found]).get(job_id)
            durations = functions.stage_durations(connection, job_id)
            waited = functions.waiting_times(connection, job_id)
            family = functions.family(connection, job_id, max_jobs=_MEMBERS)
            series = functions.job_series(connection, job_id, max_runs=_RUNS)
        else:
            # These would be those of the job as it is.
            rate, stalled, durations, waited, family, series = None, None, [], [], None, None

    console = screen.make_console()
    room = screen.room_of(console)
    screen.show(
        console,
        job_view.head(Shown(found, rate, mark_of(stalled)), now=now, room=room, stalled=stalled, at=at),
        job_view.counts(found, room, _TYPES),
        job_view.stages(durations, room, _STAGES),
        job_view.waits(waited, room, _STAGES),
        job_view.family(family, room),
        job_view.runs(series, now, room),
        job_view.event_lines(job_view.events_of(found), room),
    )


@job.command()
@click.argument("job_id", metavar="JOB")
@click.argument("command", type=click.Choice(["pause", "resume", "cancel"]))
@click.option("--by", metavar="NAME", help="Who asks, for the job's timeline.  [default: the user who runs this]")
@json_option("Print the job.")
@database_options
def command(job_id: str, url: str, command: str, by: str | None, *, as_json: bool) -> None:
    """Ask the crawler of JOB to pause, resume or cancel.

    The crawler gets the command with the answer to its next update.
    """
    with connected(url, WRITER) as connection:
        asked = functions.request_command(connection, job_id, command, requested_by=by or _user())
    if as_json:
        print_json(asked)
    else:
        asks = f"job {plain(job_id)}, which is {asked['status']}, is asked to {asked['command']}"
        screen.say(screen.Styled(asks, "green"))


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Compare its state with its ledger, or do not.  [default: compare up to 20,000 events]",
)
@json_option("Print the diagnosis, with the figures behind it.")
@database_options
def diagnose(job_id: str, url: str, *, verify: bool | None, as_json: bool) -> None:
    """Find what is wrong with JOB, and what to do about it.

    Is it stalled? Are its counts right? Does its crawler send too much or too little?

    Exits 0 when nothing is wrong, 1 when there is a problem or a warning, 2 when there is no such JOB.
    """
    with connected(url) as connection:
        found = functions.diagnose_job(connection, job_id, verify=verify)
    if as_json:
        print_json(found)
    else:
        console = screen.make_console()
        room = screen.room_of(console)
        verdict = Text(plain(f"job {job_id}: {found['verdict']}"), _SEVERITY_STYLES[found["severity"]])
        screen.show(
            console,
            wrapped(verdict, room),
            *(
                [Text(scenario["title"], "bold"), *(line for f in scenario["findings"] for line in _finding(f, room))]
                for scenario in found["scenarios"]
            ),
        )
    sys.exit(1 if found["problems"] or found["warnings"] else 0)


def _finding(finding: functions.Finding, room: int | None) -> list[Text]:
    """Lay out a finding: its severity, what was found, and below that what to do."""
    beside = None if room is None else max(room - _INDENT, 20)
    lines = wrapped(Text(plain(finding["says"])), beside)
    if finding["next"]:
        lines += wrapped(Text(plain(f"-> {finding['next']}"), "dim"), beside)
    severity = finding["severity"]
    labels = [
        Text(f"  {severity:<{_INDENT - 2}}", _SEVERITY_STYLES[severity]),
        *[Text(" " * _INDENT)] * (len(lines) - 1),
    ]
    return [label + line for label, line in zip(labels, lines, strict=True)]


def list_jobs(connection: Connection, limit: int | None, *, cursor: str | None = None, **filters: Any) -> Json:  # noqa: ANN401 - those of `functions.list_jobs`
    """Return what `functions.list_jobs` does, as if one page held `limit` jobs (None: all)."""
    found: list[Json] = []
    while True:
        most = PAGE if limit is None else min(limit - len(found), PAGE)
        page = functions.list_jobs(connection, max_jobs=most, cursor=cursor, **filters)
        found += page["jobs"]
        cursor = page["next"]
        if cursor is None or len(found) == limit:
            return {"jobs": found, "next": cursor}


def read_rate(connection: Connection, job_id: str) -> Json | None:
    """Return what `job_rate` does; None where the job is gone."""
    try:
        return functions.job_rate(connection, job_id)
    except functions.JobNotFound:
        return None


def read_rates(connection: Connection, found: Iterable[Json]) -> dict[str, Json]:
    """Return the rates of the running jobs, at most `MOST_RATES`, by job."""
    running = [job["id"] for job in found if job["status"] == "running"][:MOST_RATES]
    return {job_id: rate for job_id in running if (rate := read_rate(connection, job_id)) is not None}


def read_stalled(connection: Connection, found: Sequence[Json]) -> dict[str, functions.StalledJob]:
    """Return those of the jobs that stall, by job. Where thousands do, only the longest silent ones are found."""
    may_stall = [job["id"] for job in found if job["status"] in _MAY_STALL]
    if not may_stall:
        return {}
    # Only jobs whose ids begin as all of these do have to be looked at.
    stalled = functions.stalled_jobs(
        connection,
        id_prefix=os.path.commonprefix(may_stall),  # noqa: RUF071 - letter by letter is what is wanted
        never_reported=never_reported(),
    )
    wanted = set(may_stall)
    return {item.id: item for item in stalled if item.id in wanted}


def mark_of(stalled: functions.StalledJob | None) -> str:
    """Return the word beside the status of a job that stalls, empty for any other."""
    return "" if stalled is None else _MARKS.get(stalled.state, "stalled")


def never_reported() -> timedelta:
    """Return how long after its registration a job must be reported on, as the setting says."""
    try:
        return timedelta(seconds=Settings.from_env().never_reported_after)
    except SettingsError as error:
        raise CannotRun(str(error)) from error


def _user() -> str | None:
    """Return the name of the user who runs this, where the machine knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
