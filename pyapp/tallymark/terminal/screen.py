"""The terminal, or the file or pipe that standard output is instead."""

import io
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

#: What stands for what a terminal without Unicode cannot show.
_ASCII = str.maketrans("━╸─…→", "#=-~>")


def make_console() -> Console:
    """Make the console on standard output, which takes what others wrote for nothing but text.

    Returns:
        The console.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An id may have letters that this terminal lacks: that must not end the command.
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, markup=False, emoji=False)


def room_of(console: Console) -> int | None:
    """Say how wide the screen is.

    Args:
        console: The console.

    Returns:
        Columns; None where there is no terminal, and so no end of a line.
    """
    return console.width if console.is_terminal else None


def picture(console: Console, lines: Iterable[Text]) -> Text:
    """Put lines below each other.

    Args:
        console: Where they are to be printed.
        lines: Those.

    Returns:
        One text, in letters that the console has.
    """
    text = Text("\n", no_wrap=True, overflow="crop").join(lines)
    if console.options.ascii_only:
        text.plain = text.plain.translate(_ASCII)
    return text


def show(console: Console, lines: Iterable[Text]) -> None:
    """Print lines.

    Args:
        console: Where.
        lines: Those, made for `room_of` the console.
    """
    console.print(picture(console, lines), soft_wrap=True)


def show_parts(console: Console, *parts: list[Text]) -> None:
    """Print groups of lines with an empty line between them.

    Args:
        console: Where.
        parts: The groups; those without lines are left out.
    """
    show(console, spaced(*parts))


def spaced(*parts: list[Text]) -> list[Text]:
    """Put groups of lines below each other, with an empty line between them.

    Args:
        parts: The groups; those without lines are left out.

    Returns:
        The lines.
    """
    told = [part for part in parts if part]
    return [line for place, part in enumerate(told) for line in ([Text(), *part] if place else part)]
