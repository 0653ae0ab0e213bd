"""Commands for the tokens that callers of the endpoint show: token create, list, revoke."""

import json
import re
from datetime import UTC, datetime, timedelta

import click

from tallymark import functions
from tallymark.cli.connect import connected
from tallymark.cli.options import database_options

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: Columns of the table of tokens when no terminal limits them.
_WIDE = 240


def _expiry(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """Return a time to come: from now on, such as `90d`, or a date, which is in UTC unless it says so."""
    if value is None:
        return None
    try:
        if span := re.fullmatch(r"([0-9]{1,9})([smhdw])", value, re.ASCII):
            return datetime.now(UTC) + timedelta(**{_UNITS[span[2]]: int(span[1])})
        given = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is neither a time from now on, such as 90d or 12h, nor a date") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


@click.group()
def token() -> None:
    """Make, list and revoke the tokens that callers of the endpoint show.

    They are kept in the database, beside those of CRAWLER_API_TOKEN, and take effect without a restart.
    """


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["write", "read", "admin"]),
    help="What it opens: write to register jobs and report, read to read, admin for all. May be given again.",
)
@click.option("--job-prefix", default="", metavar="PREFIX", help="Only for jobs whose ids begin with this.")
@click.option(
    "--expires",
    callback=_expiry,
    metavar="90d|ISO",
    help="When it expires: so many s, m, h, d, w from now on, or a date (UTC unless it says so).  [default: never]",
)
@database_options
def create(name: str, url: str, scopes: tuple[str, ...], job_prefix: str, expires: datetime | None) -> None:
    """Make a token called NAME, and print it: this once, alone on standard output."""
    with connected(url) as connection:
        made = functions.create_token(connection, name, scopes, job_prefix=job_prefix, expires_at=expires)
    click.echo(made)
    click.echo(
        f"Token {name}: {_described(scopes, job_prefix, expires)}. It is not kept: this is the only time.", err=True
    )


@token.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print the tokens as a JSON array.")
@database_options
def list_(url: str, *, as_json: bool) -> None:
    """List all tokens, also those that are expired or revoked; the tokens themselves are not kept."""
    with connected(url) as connection:
        known = functions.list_tokens(connection)
    if as_json:
        click.echo(json.dumps([_as_json(item) for item in known], indent=2, ensure_ascii=False))
    elif known:
        _print_table(known)
    else:
        click.echo("no tokens", err=True)


@token.command()
@click.argument("name")
@database_options
def revoke(name: str, url: str) -> None:
    """Revoke the token called NAME: it opens nothing any more, after TALLYMARK_TOKEN_CACHE_SECONDS at the latest."""
    with connected(url) as connection:
        at = functions.revoke_token(connection, name)
    click.secho(f"token {name} is revoked since {_time(at)}", fg="green")


def _described(scopes: tuple[str, ...], job_prefix: str, expires: datetime | None) -> str:
    """Say in words what a token opens."""
    jobs = f"jobs that begin with {json.dumps(job_prefix, ensure_ascii=False)}" if job_prefix else "all jobs"
    return f"{', '.join(dict.fromkeys(scopes))} on {jobs}, " + (f"until {_time(expires)}" if expires else "for ever")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _state(item: functions.Token) -> str:
    if item.revoked_at is not None:
        return "revoked"
    return "expired" if item.expires_at is not None and item.expires_at <= datetime.now(UTC) else "active"


def _as_json(item: functions.Token) -> dict[str, object]:
    times = {"createdAt": item.created_at, "expiresAt": item.expires_at, "revokedAt": item.revoked_at}
    return {
        "name": item.name,
        "state": _state(item),
        "scopes": item.scopes,
        "jobPrefix": item.job_prefix,
        **{name: at and at.astimezone(UTC).isoformat().replace("+00:00", "Z") for name, at in times.items()},
    }


def _print_table(known: list[functions.Token]) -> None:
    """Print the tokens for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "state", "scopes", "jobs", "created", "expires"):
        table.add_column(heading, overflow="fold")
    for item in known:
        table.add_row(
            item.name,
            _state(item),
            ", ".join(item.scopes),
            f"{item.job_prefix}*" if item.job_prefix else "all",
            _time(item.created_at),
            _time(item.expires_at) if item.expires_at else "never",
        )
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)
