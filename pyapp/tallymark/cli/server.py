"""The commands that run Tallymark: `up`, `serve` and `settings`."""

from dataclasses import replace
from pathlib import Path

import click

from tallymark.cli.common import Command, data_option
from tallymark.settings import Settings
from tallymark.terminal.screen import make_console, room_of, say, show
from tallymark.terminal.tables import folded_lines


def _listening(command: Command) -> Command:
    """Give a command the options --host and --port."""
    for option in (
        click.option("--port", type=click.IntRange(1, 65535), default=8000, help="Port to listen on."),
        click.option(
            "--host",
            default="127.0.0.1",
            help="Address to listen on; 0.0.0.0 listens on all.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@data_option
@_listening
def up(data: Path | None, host: str, port: int) -> None:
    """Run everything: database, schema, web server.

    Starts an embedded PostgreSQL unless DATABASE_URL is set, installs or upgrades the schema, serves, and prints the
    address, a token, and two commands to try. Ctrl-C stops all of it.
    """
    # Imported here, so that the other commands start faster.
    from tallymark.server.up import up as run

    settings = Settings.from_env()
    if data is not None:
        settings = replace(settings, data_dir=data.absolute())
    run(settings, host=host, port=port, say=say)


@click.command()
@_listening
def serve(host: str, port: int) -> None:
    """Run only the web server, on the database of DATABASE_URL."""
    from tallymark.server.granian import serve as run

    settings = Settings.from_env()
    if settings.database_url is None:
        raise click.ClickException("DATABASE_URL is not set; set it, or use `tallymark up`, which needs none")
    say(f"serving on {host} port {port}", err=True)
    run(settings, host, port)


@click.command()
def settings() -> None:
    """Show each setting: its value, its default, its meaning.

    Settings are environment variables. Passwords and tokens are masked.
    """
    console = make_console()
    rows = [tuple(row) for row in Settings.from_env().rows()]
    headings = ("setting", "value", "default", "meaning")
    show(console, folded_lines(headings, rows, room_of(console), whole="setting"))
