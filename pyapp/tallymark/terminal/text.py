"""Words, figures and bars as people read them in a terminal."""

import json
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len
from rich.text import Text

#: How a job's status is coloured; one that is not here is shown as it is. Legible on light and on dark.
STATUS_STYLES = {
    "queued": "dim",
    "running": "cyan",
    "finished": "green",
    "failed": "red",
    "paused": "yellow",
    "cancelled": "magenta",
    "credential_expired": "red",
    "waiting_credential_renewal": "yellow",
    "credential_renewed": "cyan",
}

_FULL, _HALF, _EMPTY = "━╸─"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3_600, 86_400, 31_557_600
#: Below how many of a unit the next smaller one is told, too.
_FINE = {_MINUTE: 10, _HOUR: 48, _DAY: 14, _YEAR: 0}
_CENTURY = 100 * _YEAR
#: From this rate on no decimals are told.
_MANY = 100


def plain(value: object) -> str:
    r"""Spell out what a terminal would obey or not show: control characters, marks that turn the line around.

    Args:
        value: Whatever somebody else wrote.

    Returns:
        It, with such characters as `\x1b`, on one line.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in text
    )


def compact(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Write JSON on one line; a text without its quotes.

    Args:
        value: What was read from JSON.

    Returns:
        The line, safe to print.
    """
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def cut(text: Text, cells: int, *, middle: bool = False) -> Text:
    """Make a text fit.

    Args:
        text: In one style.
        cells: How many columns of the terminal it may take.
        middle: Take it out of the middle, so that both ends can be told from others.

    Returns:
        The text, with `…` for what was taken out.
    """
    if text.cell_len <= cells:
        return text
    if not middle:
        shorter = text.copy()
        shorter.truncate(cells, overflow="ellipsis")
        return shorter
    left = beginning(text.plain, cells // 2)
    right = beginning(text.plain[::-1], cells - 1 - cell_len(left))[::-1]
    return Text(f"{left}…{right}", text.style)


def beginning(text: str, cells: int) -> str:
    """Take as much of a text as fits.

    Args:
        text: The text.
        cells: How many columns of the terminal it may take.

    Returns:
        The beginning, of at least one letter.
    """
    taken = 0
    for place, letter in enumerate(text):
        taken += cell_len(letter)
        if taken > cells:
            return text[: max(place, 1)]
    return text


def wrapped(text: Text, cells: int | None) -> list[Text]:
    """Break a text into lines that fit, at blanks where there are some.

    Args:
        text: The text.
        cells: How many columns of the terminal a line may take; None is any number.

    Returns:
        The lines.
    """
    if cells is None or text.cell_len <= cells:
        return [text]
    lines, begin = [], 0
    while begin < len(text):
        piece = beginning(text.plain[begin:], cells)
        in_a_word = text.plain[begin + len(piece) :][:1] not in ("", " ") and not piece.endswith(" ")
        if in_a_word and " " in piece:
            piece = piece[: piece.rindex(" ") + 1]
        lines.append(text[begin : begin + len(piece.rstrip(" "))])
        begin += len(piece)
        # A blank at which a line was broken is not at the beginning of the next one either.
        begin += len(text.plain[begin:]) - len(text.plain[begin:].lstrip(" "))
    return lines


def bar(part: float | None, cells: int, style: str) -> Text:
    """Draw how much of something is done.

    Args:
        part: 0 to 1; None where nobody knows.
        cells: How many columns of the terminal it takes.
        style: Of what is done.

    Returns:
        The bar. It is full only when all is done.
    """
    halves = int(cells * 2 * min(max(part or 0, 0), 1))
    done = _FULL * (halves // 2) + _HALF * (halves % 2)
    return Text.assemble((done, style), (_EMPTY * (cells - len(done)), "dim"))


def status_style(status: str) -> str:
    """Give the colour of a job's status."""
    return STATUS_STYLES.get(status, "")


def instant(text: str | None) -> datetime | None:
    """Read an instant of a job's; None where it has none."""
    return None if text is None else datetime.fromisoformat(text)


def clock(at: datetime) -> str:
    """Write an instant, in UTC, as all commands do."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def duration(seconds: float) -> str:
    """Write a duration in one unit or two, such as `3 s`, `2 min 5 s`, `3 h`."""
    if seconds >= _CENTURY:
        return "over 100 years"
    whole = int(seconds)
    for unit, name, smaller, smaller_name in (
        (_YEAR, "years", _DAY, "d"),
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        # A year is worth its unit only when there are two.
        if whole >= unit * (2 if unit == _YEAR else 1):
            count, rest = divmod(whole, unit)
            more = rest // smaller if count < _FINE[unit] else 0
            return f"{count} {name}" + (f" {more} {smaller_name}" if more else "")
    return f"{whole} s"


def ago(then: datetime | None, now: datetime) -> str:
    """Write how long ago something was, in one unit, such as `3 s ago`."""
    if then is None:
        return ""
    seconds = (now - then).total_seconds()
    if seconds < 1:
        return "now"
    words = duration(seconds).split()
    return f"{words[0]} {words[1]} ago" if words[0] != "over" else "over 100 years ago"


def speed(per_second: float) -> str:
    """Write a rate with three digits, in the unit in which it is 1 or more, such as `12.5/s`, `3/min`."""
    for seconds, unit in ((1, "s"), (_MINUTE, "min"), (_HOUR, "h")):
        if per_second == 0 or per_second * seconds >= 1 or unit == "h":
            value = per_second * seconds
            return f"{value:.0f}/{unit}" if value >= _MANY else f"{value:.3g}/{unit}"
    raise AssertionError  # the last unit is always taken


def count(number: int, noun: str) -> str:
    """Count in words: `1 job`, `2 jobs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
