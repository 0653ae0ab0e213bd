"""The commands that run Tallymark: `up`, `serve` and `settings`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from tallymark.cli.options import data_option
from tallymark.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_HOST = "127.0.0.1"
_PORT = 8000
#: Columns of the table of settings when no terminal limits them.
_WIDE = 240


def _listening(command: F) -> F:
    """Give a command the options --host and --port."""
    for option in (
        click.option(
            "--port", type=click.IntRange(1, 65535), default=_PORT, show_default=True, help="Port to listen on."
        ),
        click.option("--host", default=_HOST, show_default=True, help="Address to listen on; 0.0.0.0 is all."),
    ):
        command = option(command)
    return command


@click.command()
@data_option
@_listening
def up(data: Path | None, host: str, port: int) -> None:
    """Run everything: database, schema, web server.

    Starts a PostgreSQL of its own unless DATABASE_URL is set, installs or upgrades the schema, serves, and prints
    the address, a token, and two lines to try it with. Ctrl-C stops all of it.
    """
    # Imported here, so that the other commands start without the database driver.
    from tallymark.server.up import up as run

    settings = Settings.from_env()
    if data is not None:
        settings = replace(settings, data_dir=data.absolute())
    run(settings, host=host, port=port, say=click.echo)


@click.command()
@_listening
def serve(host: str, port: int) -> None:
    """Run the web part alone, on the database of DATABASE_URL."""
    from tallymark.server.granian import serve as run

    settings = Settings.from_env()
    if settings.database_url is None:
        raise click.ClickException("DATABASE_URL is not set: set it, or use `tallymark up`, which needs none")
    click.echo(f"serving on {host} port {port}", err=True)
    run(settings, host, port)


@click.command()
def settings() -> None:
    """Show every setting: its value now, its default, and what it means."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    # A value is never cut short: whoever looks here wants all of it.
    table.add_column("value", overflow="fold")
    table.add_column("default", overflow="fold")
    table.add_column("meaning")
    for row in Settings.from_env().rows():
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)
