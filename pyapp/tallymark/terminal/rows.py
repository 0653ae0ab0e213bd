"""Jobs as rows: one line each on a wide screen, on a narrow one a second line with what has no column there."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from rich.text import Text

from tallymark.functions.call import Json
from tallymark.plain import plain
from tallymark.terminal.tables import Column, table_lines
from tallymark.terminal.text import STATUS_STYLES, ago, bar, count, cut, duration, instant, speed, status_style

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
    """A job as `list_jobs` returns it, its rate as `job_rate` does or None, and whether it stalls or is gone."""

    job: Json
    rate: Json | None = None
    stalled: bool = False
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
    """Count jobs by status: `3 jobs: 2 running (1 stalled), 1 finished`."""
    found = Counter(item.job["status"] for item in shown)
    stalled = sum(item.stalled for item in shown)
    line = Text(f"{count(len(shown), 'job')}: ")
    order = [*STATUS_STYLES, *found]
    for place, status in enumerate(sorted(found, key=order.index)):
        line.append(", " if place else "").append(f"{found[status]} {plain(status)}", status_style(status))
        if status == "running" and stalled:
            line.append(f" ({stalled} stalled)", "bold red")
    return line


def status_text(item: Shown) -> Text:
    """Write a job's status, such as `running, stalled`."""
    if item.gone:
        return Text("gone", "red")
    status = item.job["status"]
    text = Text(plain(status), status_style(status))
    return Text.assemble(text, (", stalled", "bold red")) if item.stalled else text


def progress_text(job: Json, cells: int) -> Text:
    """Draw a bar of so many columns and the percentage; only the bar where the total is not known."""
    percentage = job["percentage"]
    if percentage is None:
        return bar(None, cells, "")
    # Rounded down, so that 100% is only said of what is done.
    figure = f"{int(percentage):3}%" if cells < _WIDE_BAR else f"{percentage:5.1f}%"
    return Text.assemble(bar(percentage / 100, cells, status_style(job["status"])), " ", figure)


def rate_text(rate: Json | None) -> str:
    """Write how fast a job is going; nothing where that is not known."""
    return "" if rate is None or rate["itemsPerSecond"] is None else speed(rate["itemsPerSecond"])


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
    job_id, _status, progress, summary = _first(item, _NARROW_BAR)
    # That it stalls stands in the second line.
    status = cut(status_text(item._replace(stalled=False)), _LONG_STATUS)
    return [job_id, status, progress, summary, Text(ago(instant(item.job["updatedAt"]), now))]


def _second_line(item: Shown, room: int) -> Text | None:
    """Write what a narrow table has no columns for; None where that is nothing."""
    job, left = item.job, left_text(item.rate)
    stage = job["progress"].get("stage") if job["finishedAt"] is None else None
    parts = [
        Text("stalled", "bold red") if item.stalled else Text(),
        Text(job["status"] if len(job["status"]) > _LONG_STATUS else ""),
        Text(f"{job['command']} asked" if job["command"] else "", "bold yellow"),
        Text(rate_text(item.rate)),
        Text(f"{left} left" if left else ""),
        # At the end, since it may be long.
        Text(plain(stage or "")),
    ]
    known = [part for part in parts if part.plain]
    return cut(Text.assemble("    ", Text(", ", "dim").join(known)), room) if known else None
