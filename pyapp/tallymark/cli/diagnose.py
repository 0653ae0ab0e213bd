"""The command `tallymark job diagnose`."""

import json
import sys
import textwrap
from typing import TYPE_CHECKING

import click

from tallymark.cli.connect import connected
from tallymark.cli.options import database_options, json_option

if TYPE_CHECKING:
    from rich.text import Text

    from tallymark.functions.diagnosis import Finding, Scenario

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}
#: Where what is said begins, after the word for how bad it is.
_INDENT = 10


@click.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Compare it with its ledger, whatever its length; or not at all.  [default: up to 20,000 events]",
)
@json_option("Print the diagnosis, with the figures it is made of.")
@database_options
def diagnose(job_id: str, url: str, *, verify: bool | None, as_json: bool) -> None:
    """Say what is wrong with JOB and what to do: is it stalled, are its counts right, does its crawler send too much.

    Exits 1 when there is a problem or a warning, 2 when there is no such JOB.
    """
    from tallymark import functions

    with connected(url) as connection:
        found = functions.diagnose_job(connection, job_id, verify=verify)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        # Imported here: `tallymark --help` imports this module, and needs nothing to draw.
        from tallymark.terminal.screen import make_console, room_of, show_parts

        console = make_console()
        room = room_of(console)
        show_parts(
            console,
            _verdict(job_id, found["verdict"], _STYLES[found["severity"]], room),
            *(_scenario(scenario, room) for scenario in found["scenarios"]),
        )
    sys.exit(1 if found["problems"] or found["warnings"] else 0)


def _verdict(job_id: str, verdict: str, style: str, room: int | None) -> list["Text"]:
    from rich.text import Text

    return [Text(line, style) for line in _wrapped(f"job {job_id}: {verdict}", room, 0)]


def _scenario(scenario: "Scenario", room: int | None) -> list["Text"]:
    from rich.text import Text

    return [Text(scenario["title"], "bold"), *(line for f in scenario["findings"] for line in _finding(f, room))]


def _finding(finding: "Finding", room: int | None) -> list["Text"]:
    """Lay out a finding: how bad it is, what was found, and below that what to do."""
    from rich.text import Text

    style = _STYLES[finding["severity"]]
    first, *more = _wrapped(finding["says"], room, _INDENT)
    lines = [Text.assemble((f"  {finding['severity']:<{_INDENT - 2}}", style), first)]
    lines += [Text(" " * _INDENT + line) for line in more]
    if finding["next"]:
        lines += [Text(f"{' ' * _INDENT}{line}", "dim") for line in _wrapped(f"-> {finding['next']}", room, _INDENT)]
    return lines


def _wrapped(said: str, room: int | None, indent: int) -> list[str]:
    """Cut a sentence into lines that fit; where there is no terminal it is one line."""
    from tallymark.terminal.text import plain

    text = plain(said)
    return [text] if room is None else textwrap.wrap(text, max(room - indent, 20)) or [""]
