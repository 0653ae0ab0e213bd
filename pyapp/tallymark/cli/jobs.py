"""The command that lists jobs: jobs."""

import json
from datetime import datetime, timedelta
from typing import Any

import click

from tallymark import functions
from tallymark.cli.connect import connected, server_time
from tallymark.cli.options import database_options, json_option, time_gone_by
from tallymark.functions.call import Connection, Json

#: How many jobs `list_jobs` gives at most at a time.
PAGE = 1_000


@click.command()
@click.option("--status", metavar="STATUS", help="Only jobs of this status, such as running.")
@click.option("--stage", metavar="STAGE", help="Only jobs that are in this stage.")
@click.option("--operation-type", metavar="TYPE", help="Only jobs that do this, such as data_collection.")
@click.option("--item-type", metavar="TYPE", help="Only jobs that have counted items of this type.")
@click.option("--q", metavar="TEXT", help="Only jobs whose ids have this in them.")
@click.option("--prefix", "id_prefix", metavar="TEXT", help="Only jobs whose ids begin with this.")
@click.option(
    "--since",
    callback=time_gone_by,
    metavar="1h|2d|ISO",
    help="Only jobs that were reported on since so long ago, or since then.",
)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="How many jobs.")
@click.option("--cursor", metavar="CURSOR", help="Go on behind the jobs of an earlier call: the `next` of its --json.")
@json_option("""Print {"jobs": [...], "next": ...} as HTTP gives it.""")
@database_options
def jobs(
    url: str,
    limit: int,
    cursor: str | None,
    since: timedelta | datetime | None,
    *,
    as_json: bool,
    **filters: str | None,
) -> None:
    """List jobs in the order of their ids: how far each is, how fast, and when it was heard of last.

    Jobs that have been silent for longer than their habit allows are marked as stalled. Rates are asked for the first
    50 running jobs alone, since each takes a query of its own.
    """
    # Imported here, as in the other commands: `tallymark --help` imports this module, and needs nothing to draw.
    from tallymark.cli.figures import read_rates, read_stalled
    from tallymark.terminal.rows import Shown, table, totals
    from tallymark.terminal.screen import make_console, room_of, show
    from tallymark.terminal.text import wrapped

    with connected(url) as connection:
        now = server_time(connection)
        updated_since = now - since if isinstance(since, timedelta) else since
        page = list_jobs(connection, limit, cursor=cursor, updated_since=updated_since, **filters)
        if as_json:
            click.echo(json.dumps(page, indent=2, ensure_ascii=False))
            return
        found = page["jobs"]
        rates, stalled = read_rates(connection, found), read_stalled(connection, found)
    if not found:
        click.echo(_nothing(filters | {"since": since, "cursor": cursor}), err=True)
        return
    shown = [Shown(job, rates.get(job["id"]), job["id"] in stalled) for job in found]
    console = make_console()
    room = room_of(console)
    headings, lines = table(shown, now, room)
    last = totals(shown)
    if page["next"] is not None:
        last.append(f"; there are more: see --limit, or --cursor {page['next']}")
    show(console, [headings, *(line for of_one in lines for line in of_one), *wrapped(last, room)])


def list_jobs(connection: Connection, limit: int | None, *, cursor: str | None = None, **filters: Any) -> Json:  # noqa: ANN401 - those of `functions.list_jobs`
    """List jobs, over as many pages as it takes.

    Args:
        connection: Where to read.
        limit: How many at most; None is all.
        cursor: Where to begin; None is at the first.
        filters: As those of `functions.list_jobs`.

    Returns:
        What that gives, as if one page held all.
    """
    found: list[Json] = []
    while True:
        most = PAGE if limit is None else min(limit - len(found), PAGE)
        page = functions.list_jobs(connection, max_jobs=most, cursor=cursor, **filters)
        found += page["jobs"]
        cursor = page["next"]
        if cursor is None or len(found) == limit:
            return {"jobs": found, "next": cursor}


def _nothing(filters: dict[str, Any]) -> str:
    """Say that there is nothing, and what to do about it."""
    if any(value is not None for value in filters.values()):
        return "no job is like that"
    return "no jobs yet: a crawler's jobs are registered with `tallymark job create JOB`"
