"""Commands for one job: job create, show, command."""

import getpass
import json
from typing import Any

import click

from tallymark import api
from tallymark.cli.connect import connected
from tallymark.cli.options import database_options


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


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--attributes",
    callback=_attributes,
    metavar="JSON",
    help="""The registrar's own, such as '{"counting": "cumulative"}'.""",
)
@database_options
def create(job_id: str, url: str, attributes: dict[str, Any] | None) -> None:
    """Register JOB, so that crawlers can report on it. Registering it again changes nothing."""
    with connected(url) as connection:
        created = api.create_job(connection, job_id, attributes)["created"]
    click.secho(f"job {job_id} is registered" if created else f"job {job_id} was registered before", fg="green")


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option("--timeline", default=10, show_default=True, metavar="N", help="How many of its newest events go along.")
@database_options
def show(job_id: str, url: str, timeline: int) -> None:
    """Print JOB as JSON, as HTTP gives it."""
    with connected(url) as connection:
        found = api.get_job(connection, job_id, timeline_limit=timeline)
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


@job.command()
@click.argument("job_id", metavar="JOB")
@click.argument("command", type=click.Choice(["pause", "resume", "cancel"]))
@click.option("--by", metavar="NAME", help="Who asks, for the record.  [default: the user who runs this]")
@database_options
def command(job_id: str, url: str, command: str, by: str | None) -> None:
    """Ask the crawler of JOB to pause, resume or cancel; it hears of it with its next update."""
    with connected(url) as connection:
        asked = api.request_command(connection, job_id, command, requested_by=by or _user())
    click.secho(f"job {job_id}, which is {asked['status']}, is asked to {asked['command']}", fg="green")


def _user() -> str | None:
    """Return the name of the user who runs this, where the machine knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
