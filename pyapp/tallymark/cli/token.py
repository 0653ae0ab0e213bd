"""Commands for the tokens that callers of the endpoint send: token create, list, revoke."""

from datetime import UTC, datetime

import click

from tallymark import functions
from tallymark.cli.common import ADMIN, connected, database_options, json_option, print_json, time_to_come
from tallymark.plain import plain, plain_json
from tallymark.terminal.screen import Styled, make_console, room_of, say, show
from tallymark.terminal.tables import folded_lines


@click.group()
def token() -> None:
    """Create, list and revoke API tokens.

    They are kept in the database, apart from those of CRAWLER_API_TOKEN, and take effect without a restart.
    """


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["write", "read", "admin"]),
    help="What it allows: write to register jobs and report on them, read to read them, admin for everything. May be "
    "given several times.",
)
@click.option(
    "--job-prefix",
    default="",
    show_default="all jobs",
    metavar="TEXT",
    help="Only jobs whose ids begin with this text.",
)
@click.option(
    "--expires",
    callback=time_to_come,
    metavar="TIME|DATE",
    help="When it expires: a time from now on (12h, 90d, 4w), or a date (ISO 8601, UTC).  [default: never]",
)
@database_options
def create(name: str, url: str, scopes: tuple[str, ...], job_prefix: str, expires: datetime | None) -> None:
    """Create a token called NAME, and print it.

    Only the token is on standard output. It cannot be shown again: the database keeps only its SHA-256.
    """
    with connected(url, ADMIN) as connection:
        made = functions.create_token(connection, name, scopes, job_prefix=job_prefix, expires_at=expires)
    say(made)
    jobs = f"jobs that begin with {plain_json(job_prefix)}" if job_prefix else "all jobs"
    until = f"until {_time(expires)}" if expires else "for ever"
    what = f"{', '.join(dict.fromkeys(scopes))} on {jobs}, {until}"
    say(f"Token {plain(name)}: {what}. It cannot be shown again.", err=True)


@token.command(name="list")
@json_option("Print the tokens as a JSON array.")
@database_options
def list_(url: str, *, as_json: bool) -> None:
    """List all tokens, without their secrets.

    Expired and revoked ones are listed, too.
    """
    with connected(url, ADMIN) as connection:
        known = functions.list_tokens(connection)
    if as_json:
        print_json([_as_json(item) for item in known])
    elif known:
        _print_table(known)
    else:
        say("no tokens", err=True)


@token.command()
@click.argument("name")
@database_options
def revoke(name: str, url: str) -> None:
    """Revoke the token called NAME.

    Servers may accept it for another TALLYMARK_TOKEN_CACHE_SECONDS.
    """
    with connected(url, ADMIN) as connection:
        at = functions.revoke_token(connection, name)
    say(Styled(f"token {plain(name)} is revoked since {_time(at)}", "green"))


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
    rows = [
        (
            item.name,
            _state(item),
            ", ".join(item.scopes),
            f"{item.job_prefix}*" if item.job_prefix else "all",
            _time(item.created_at),
            _time(item.expires_at) if item.expires_at else "never",
        )
        for item in known
    ]
    console = make_console()
    headings = ("name", "state", "scopes", "jobs", "created", "expires")
    show(console, folded_lines(headings, rows, room_of(console)))
