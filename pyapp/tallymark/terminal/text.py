"""Text, durations, rates and bars as people read them in a terminal."""

from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from tallymark.plain import plain, plain_json

#: How a job's status is coloured; any other has no colour. Legible on light and on dark. In the order of a job's life.
STATUS_STYLES = {
    "queued": "dim",
    "running": "cyan",
    "waiting": "blue",
    "finished": "green",
    "failed": "red",
    "paused": "yellow",
    "cancelled": "magenta",
    "credential_expired": "red",
    "waiting_credential_renewal": "yellow",
    "credential_renewed": "cyan",
}

#: How a job is coloured that has finished while something is missing.
SHORT_STYLE = "dark_orange3"

_FULL, _HALF, _EMPTY = "━╸─"
_SHORTEST_MIDDLE_CUT = 3
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3_600, 86_400, 31_557_600
_CENTURY = 100 * _YEAR
#: Units from the largest on: seconds, name, the next smaller unit, its name, below how many the smaller one is shown.
_UNITS = (
    (_YEAR, "years", _DAY, "d", 0),
    (_DAY, "d", _HOUR, "h", 14),
    (_HOUR, "h", _MINUTE, "min", 48),
    (_MINUTE, "min", 1, "s", 10),
)
#: From this rate on there are no decimals.
_MANY = 100
#: `Text.wrap` wants a console, and asks it for nothing.
_CONSOLE = Console()


def compact(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Write JSON on one harmless line; a string without its quotes."""
    return plain(value) if isinstance(value, str) else plain_json(value)


def cut(text: Text, cells: int, *, middle: bool = False) -> Text:
    """Shorten a text to so many columns, with `…` at its end or in its middle, so that both ends stay."""
    if text.cell_len <= cells:
        return text
    if middle and cells >= _SHORTEST_MIDDLE_CUT:
        left = chop_cells(text.plain, cells // 2)[0]
        right = chop_cells(text.plain[::-1], cells - 1 - cell_len(left))[0][::-1]
        return Text(f"{left}…{right}", text.style)
    shorter = text.copy()
    shorter.truncate(cells, overflow="ellipsis")
    return shorter


def wrapped(text: Text, room: int | None) -> list[Text]:
    """Break a text into lines, at spaces where there are some."""
    if room is None:
        return [text]
    lines = list(text.wrap(_CONSOLE, room))
    for line in lines:
        line.rstrip()
    return lines


def bar(part: float | None, cells: int, style: str) -> Text:
    """Draw how much of something is done, 0 to 1 or unknown. Unlike rich's own bar it is legible without colours."""
    halves = int(cells * 2 * min(max(part or 0, 0), 1))
    done = _FULL * (halves // 2) + _HALF * (halves % 2)
    return Text.assemble((done, style), (_EMPTY * (cells - len(done)), "dim"))


def status_style(status: str) -> str:
    """Return the colour of a job's status."""
    return STATUS_STYLES.get(status, "")


def instant(text: str | None) -> datetime | None:
    """Read a timestamp of a job's document."""
    return None if text is None else datetime.fromisoformat(text)


def clock(at: datetime) -> str:
    """Write an instant in UTC, as all commands do."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def duration(seconds: float) -> str:
    """Write a duration in one unit or two, such as `3 s`, `2 min 5 s`, `3 h`."""
    if seconds >= _CENTURY:
        return "over 100 years"
    whole = int(seconds)
    for unit, name, smaller, smaller_name, fine in _UNITS:
        # One year is 365 d.
        if whole >= unit * (2 if unit == _YEAR else 1):
            number, rest = divmod(whole, unit)
            more = rest // smaller if number < fine else 0
            return f"{number} {name}" + (f" {more} {smaller_name}" if more else "")
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
    seconds, unit = next(
        (each for each in ((1, "s"), (_MINUTE, "min")) if per_second == 0 or per_second * each[0] >= 1), (_HOUR, "h")
    )
    value = per_second * seconds
    return f"{value:.0f}/{unit}" if value >= _MANY else f"{value:.3g}/{unit}"


def count(number: int, noun: str, form: str = "") -> str:
    """Count things: `1 job`, `2 jobs`; with the form `,` also `2,000 jobs`."""
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"
