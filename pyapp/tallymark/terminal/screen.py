"""The terminal, or the file or pipe that standard output is instead."""

import io
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from tallymark.plain import plain, plain_lines
from tallymark.terminal.text import cut

#: What stands for what a terminal without Unicode cannot show.
_ASCII = str.maketrans("━╸─…→", "#=-~>")
_PROGRESS_SECONDS = 0.2


def make_console() -> Console:
    """Make the console on standard output, which takes what others wrote as text, not as markup."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An id may have letters that this terminal lacks: that must not end the command.
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, markup=False, emoji=False)


class Styled(NamedTuple):
    """A part of a line in a colour, or bold or dim."""

    text: str
    colour: str | None = None
    bold: bool | None = None
    dim: bool | None = None


def say(*parts: str | Styled, err: bool = False) -> None:
    """Print lines on standard output or standard error: what all commands print that is no picture and no table.

    What others wrote may be in it. Where that must stay on one line, it goes through `plain` first.
    """
    click.echo("".join(_drawn(part if isinstance(part, Styled) else Styled(part)) for part in parts), err=err)


def _drawn(part: Styled) -> str:
    text = plain_lines(part.text)
    styled = click.style(text, fg=part.colour, bold=part.bold, dim=part.dim)
    return styled if part[1:] != (None, None, None) else text


def room_of(console: Console) -> int | None:
    """Return the width of the terminal in columns; None where there is none."""
    return console.width if console.is_terminal else None


def can_redraw(console: Console) -> bool:
    """Say whether a picture can be drawn over the one before."""
    return console.is_terminal and not console.is_dumb_terminal


def picture(console: Console, lines: Iterable[Text]) -> Text:
    """Join lines to one text, in letters that the console has."""
    text = Text("\n", no_wrap=True, overflow="crop").join(lines)
    if console.options.ascii_only:
        text.plain = text.plain.translate(_ASCII)
    if not text.plain.replace("\n", "").isprintable():
        # Whoever made the lines has forgotten `plain`, which tells more. The lengths stay, and with them the colours.
        text.plain = "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text.plain)
    return text


def show(console: Console, *parts: list[Text]) -> None:
    """Print groups of lines, made for `room_of` the console, with an empty line between groups."""
    console.print(picture(console, spaced(*parts)), soft_wrap=True)


def spaced(*parts: list[Text]) -> list[Text]:
    """Join groups of lines with an empty line between them; groups without lines are left out."""
    shown = [part for part in parts if part]
    return [line for place, part in enumerate(shown) for line in ([Text(), *part] if place else part)]


class ProgressLine:
    """One line on standard error that says how far a command is; only on a terminal, and only when it takes long."""

    def __init__(self, patience: float) -> None:
        """Show nothing for so many seconds."""
        self._due = time.monotonic() + patience
        self._shown = False

    def show(self, text: str) -> None:
        """Replace the line, at most five times a second."""
        if sys.stderr.isatty() and time.monotonic() > self._due:
            self._write(plain(text))
            self._due = time.monotonic() + _PROGRESS_SECONDS
            self._shown = True

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{text}\033[K")
        sys.stderr.flush()


class Screen:
    """The lower part of a terminal, where each picture is drawn over the one before."""

    def __init__(self, console: Console) -> None:
        """Draw nothing yet."""
        self.console = console
        self._size = console.size
        self._live: Live | None = None

    def draw(self, lines: list[Text]) -> None:
        """Draw as many lines as fit, and of each what fits."""
        size = self.console.size
        if size != self._size and self._live is not None:
            # The terminal has wrapped the old picture in a new way, so where it begins is unknown.
            self.close()
            self.console.clear()
        self._size = size
        fitting = [cut(line, size.width) for line in lines[: max(size.height - 1, 1)]]
        drawn = picture(self.console, fitting)
        if self._live is None:
            self._live = Live(drawn, console=self.console, auto_refresh=False, vertical_overflow="crop")
            self._live.start(refresh=True)
        else:
            self._live.update(drawn, refresh=True)

    def close(self) -> None:
        """Leave the last picture as it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None
