"""Jobs as rows: one line each on a wide screen, on a narrow one a second line with what has no column there."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.text import Text

from tallymark.functions.call import Json
from tallymark.plain import plain
from tallymark.terminal.tables import Column, table_lines
from tallymark.terminal.text import (
    SHORT_STYLE,
    STATUS_STYLES,
    ago,
    bar,
    clock,
    count,
    cut,
    duration,
    instant,
    speed,
    status_style,
)

#: From this width on a job has one line; below `_TINY` the table has only three columns.
WIDE, _TINY = 130, 60
_WIDE_BAR, _NARROW_BAR = 20, 8
#: On a narrow screen a longer status (those of credentials) stands in the second line.
_LONG_STATUS = 10

_FIRST = (Column("job", least=12, middle=True), Column("status"), Column("progress"), Column("summary", least=22))
_UPDATED = Column("updated", right=True)
_NARROW_COLUMNS = (*_FIRST, _UPDATED)
_WIDE_COLUMNS = (
    *_FIRST,
    Column("stage", least=12),
    Column("rate", right=True),
    Column("left", right=True),
    Column("asked"),
    _UPDATED,
)


class Shown(NamedTuple):
    """A job as `list_jobs` returns it, and its rate as `job_rate` does or None.

    `stalled` is the word for a job that stalls, such as stuck, and empty for any other; `gone`: it was deleted.
    """

    job: Json
    rate: Json | None = None
    stalled: str = ""
    gone: bool = False


def table(shown: Sequence[Shown], now: datetime, room: int | None) -> tuple[Text, list[list[Text]]]:
    """Return the headings, and the lines of each job. `now` is by the server's clock."""
    if room is None or room >= WIDE:
        headings, *lines = table_lines(_WIDE_COLUMNS, [_wide(item, now) for item in shown], room)
        return headings, [[line] for line in lines]
    most = len(_NARROW_COLUMNS) if room >= _TINY else 3
    rows = [_narrow(item, now)[:most] for item in shown]
    headings, *lines = table_lines(_NARROW_COLUMNS[:most], rows, room)
    more = [_second_line(item, room) for item in shown]
    return headings, [[line, second] if second else [line] for line, second in zip(lines, more, strict=True)]


def totals(shown: Sequence[Shown]) -> Text:
    """Count jobs by status: `4 jobs: 3 running (1 stalled, 1 stuck), 1 finished`."""
    found = Counter(item.job["status"] for item in shown)
    stalled = Counter((item.job["status"], item.stalled) for item in shown if item.stalled)
    line = Text(f"{count(len(shown), 'job')}: ")
    order = [*STATUS_STYLES, *found]
    for place, status in enumerate(sorted(found, key=order.index)):
        line.append(", " if place else "").append(f"{found[status]} {plain(status)}", status_style(status))
        if marks := [f"{number} {mark}" for (of, mark), number in sorted(stalled.items()) if of == status]:
            line.append(f" ({', '.join(marks)})", "bold red")
    return line


def short(job: Json) -> int:
    """Return how many items are missing from a job that has finished."""
    return sum((job.get("shortfall") or {}).values())


def status_text(item: Shown) -> Text:
    """Write a job's status, such as `running, stalled`."""
    if item.gone:
        return Text("gone", "red")
    status = item.job["status"]
    if missing := short(item.job):
        return Text(f"{plain(status)}, {missing:,} short", SHORT_STYLE)
    text = Text(plain(status), status_style(status))
    return Text.assemble(text, (f", {item.stalled}", "bold red")) if item.stalled else text


def progress_text(job: Json, cells: int) -> Text:
    """Draw a bar of so many columns and the percentage; only the bar where the total is not known."""
    percentage = job["percentage"]
    if percentage is None:
        return bar(None, cells, "")
    # Rounded down, so that 100% is only said of what is done.
    figure = f"{int(percentage):3}%" if cells < _WIDE_BAR else f"{percentage:5.1f}%"
    style = SHORT_STYLE if short(job) else status_style(job["status"])
    return Text.assemble(bar(percentage / 100, cells, style), " ", figure)


def rate_text(rate: Json | None) -> str:
    """Write how fast a job is going; nothing where that is not known."""
    return "" if rate is None or rate["itemsPerSecond"] is None else speed(rate["itemsPerSecond"])


def wait_text(job: Json) -> str:
    """Write what a waiting job waits for, as far as it said so: `until 14:05:00Z: rate limit`."""
    wait = job.get("wait")
    if not wait:
        return ""
    until = _wait_end(wait["until"])
    return ": ".join(part for part in (f"until {until}" if until else "", plain(wait["reason"] or "")) if part)


def _wait_end(text: str | None) -> str:
    try:
        at = instant(text)
    except ValueError:  # ISO 8601 has forms that Python does not read
        return plain(text or "")
    return "" if at is None else clock(at if at.tzinfo else at.replace(tzinfo=UTC)).split()[1]


def left_text(rate: Json | None) -> str:
    """Write how much time a job has left; nothing where that is not known."""
    return "" if rate is None or rate["etaSeconds"] is None else duration(rate["etaSeconds"])


def _first(item: Shown, bar_cells: int) -> list[Text]:
    job = item.job
    return [
        Text(plain(job["id"]), "bold"),
        status_text(item),
        progress_text(job, bar_cells),
        Text(plain(job["summary"])),
    ]


def _wide(item: Shown, now: datetime) -> list[Text]:
    job = item.job
    return [
        *_first(item, _WIDE_BAR),
        Text(plain(job["progress"].get("stage") or "")),
        Text(rate_text(item.rate)),
        Text(left_text(item.rate)),
        Text(plain(job["command"] or ""), "bold yellow"),
        Text(ago(instant(job["updatedAt"]), now)),
    ]


def _narrow(item: Shown, now: datetime) -> list[Text]:
    job = item.job
    job_id, _status, progress, summary = _first(item, _NARROW_BAR)
    # That it stalls, or is short of something, stands in the second line.
    status = cut(status_text(item._replace(stalled="", job={**job, "shortfall": None})), _LONG_STATUS)
    return [job_id, status, progress, summary, Text(ago(instant(item.job["updatedAt"]), now))]


def _second_line(item: Shown, room: int) -> Text | None:
    """Write what a narrow table has no columns for; None where that is nothing."""
    job, left = item.job, left_text(item.rate)
    stage = job["progress"].get("stage") if job["finishedAt"] is None else None
    parts = [
        Text(item.stalled, "bold red"),
        Text(f"{missing:,} short" if (missing := short(job)) else "", SHORT_STYLE),
        Text(wait_text(job)),
        Text(job["status"] if len(job["status"]) > _LONG_STATUS else ""),
        Text(f"{job['command']} asked" if job["command"] else "", "bold yellow"),
        Text(rate_text(item.rate)),
        Text(f"{left} left" if left else ""),
        # At the end, since it may be long.
        Text(plain(stage or "")),
    ]
    known = [part for part in parts if part.plain]
    return cut(Text.assemble("    ", Text(", ", "dim").join(known)), room) if known else None
