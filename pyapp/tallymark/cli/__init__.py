"""The command `tallymark`. Each command is in a module that is imported only when the command is used."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NoReturn

import click

from tallymark.plain import plain
from tallymark.settings import Settings, SettingsError
from tallymark.terminal.screen import say

#: The commands, in the order in which the help lists them, and where they are.
COMMANDS: dict[str, str] = {
    "up": "tallymark.cli.server:up",
    "serve": "tallymark.cli.server:serve",
    "migrate": "tallymark.cli.database:migrate",
    "rollback": "tallymark.cli.database:rollback",
    "doctor": "tallymark.cli.database:doctor",
    "distribute": "tallymark.cli.distribute:distribute",
    "verify": "tallymark.cli.database:verify",
    "prune": "tallymark.cli.prune:prune",
    "import-original": "tallymark.cli.original:import_original",
    "watchdog": "tallymark.cli.watchdog:watchdog",
    "url": "tallymark.cli.database:url",
    "jobs": "tallymark.cli.jobs:jobs",
    "job": "tallymark.cli.jobs:job",
    "watch": "tallymark.cli.watch:watch",
    "run": "tallymark.cli.run:run",
    "count": "tallymark.cli.count:count",
    "simulate": "tallymark.cli.simulate:simulate",
    "token": "tallymark.cli.token:token",
    "settings": "tallymark.cli.server:settings",
}


class LazyGroup(click.Group):
    """A group of commands that imports a command's module when the command is used."""

    def __init__(self, *, lazy: Mapping[str, str], **attributes: object) -> None:
        """Take commands by name, as `module:attribute`; all else is as for `click.Group`."""
        super().__init__(**attributes)  # type: ignore[arg-type]  # click's own arguments, passed through
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
)
@click.version_option(package_name="tallymark")
def cli() -> None:
    """Keep the progress of crawlers and other long-running jobs in PostgreSQL, and never lose count."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, with these arguments or those of this process: what the console script `tallymark` calls.

    A failure is one line on standard error that begins with `tallymark:`; TALLYMARK_DEBUG=1 shows the traceback.

    Raises:
        SystemExit: Always: 0 done, 1 failed, 2 called wrongly or unable to run, 130 interrupted.
    """
    try:
        code = cli.main(_given() if arguments is None else arguments, prog_name="tallymark", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        sys.exit(0)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "tallymark"
        _fail(f"{error.format_message()} (see {path} --help)", error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.Abort:
        _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader of our output went away, as in `tallymark settings | head`.
        sys.exit(1)
    except Exception as error:
        # People get a sentence, not a traceback.
        if _debug():
            raise
        _fail(str(error).strip() or type(error).__name__, 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    # What PostgreSQL says may have several lines.
    say(f"tallymark: {' '.join(plain(line.strip()) for line in message.splitlines())}", err=True)
    sys.exit(code)


def _debug() -> bool:
    try:
        return Settings.from_env().debug
    except SettingsError:
        # Bad settings are being reported already.
        return False


def _given() -> list[str]:
    """Return this process's arguments, read as UTF-8 also where the locale says nothing of it, as in cron."""
    arguments = []
    for argument in sys.argv[1:]:
        try:
            arguments.append(os.fsencode(argument).decode())
        except UnicodeDecodeError:
            arguments.append(argument)
    return arguments
