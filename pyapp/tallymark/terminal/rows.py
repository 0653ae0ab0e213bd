"""Jobs as rows: one line each where the screen is wide, two for those that have more to tell where it is narrow."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from rich.text import Text

from tallymark.functions.call import Json
from tallymark.terminal.grid import Column, grid
from tallymark.terminal.text import (
    STATUS_STYLES,
    ago,
    bar,
    count,
    cut,
    duration,
    instant,
    plain,
    speed,
    status_style,
)

#: From how many columns of the terminal on a job has one line.
WIDE = 130
_WIDE_BAR, _NARROW_BAR = 20, 8
#: Where it is narrow, a longer status (those of credentials) stands in the second line.
_LONG_STATUS = 10

_ID = Column("job", least=12, middle=True)
_STATUS = Column("status")
_PROGRESS = Column("progress")
#: Enough for `1234/5678 issues (21%)`: the ids give way first.
_SUMMARY = Column("summary", least=22)
_WIDE_COLUMNS = (
    _ID,
    _STATUS,
    _PROGRESS,
    _SUMMARY,
    Column("stage", least=12),
    Column("rate", right=True),
    Column("left", right=True),
    Column("asked"),
    Column("updated", right=True),
)
_NARROW_COLUMNS = (_ID, _STATUS, _PROGRESS, _SUMMARY, Column("updated", right=True))


class Shown(NamedTuple):
    """A job, and what is told of it beside what it holds.

    Attributes:
        job: As `list_jobs` gives it.
        rate: As `job_rate` gives it; None where it was not asked for.
        stalled: Whether it has been silent for longer than it may.
        gone: Whether it is no longer there.
    """

    job: Json
    rate: Json | None = None
    stalled: bool = False
    gone: bool = False


def table(shown: Sequence[Shown], now: datetime, room: int | None) -> tuple[Text, list[list[Text]]]:
    """Put jobs in a table.

    Args:
        shown: The jobs; at least one.
        now: By the server's clock.
        room: How wide the screen is; None is wide enough for anything.

    Returns:
        The headings, and the lines of each job.
    """
    if room is None or room >= WIDE:
        headings, *lines = grid(_WIDE_COLUMNS, [_wide(item, now) for item in shown], room)
        return headings, [[line] for line in lines]
    headings, *lines = grid(_NARROW_COLUMNS, [_narrow(item, now) for item in shown], room)
    more = [_second_line(item, room) for item in shown]
    return headings, [[line, second] if second else [line] for line, second in zip(lines, more, strict=True)]


def totals(shown: Sequence[Shown]) -> Text:
    """Count jobs by status.

    Args:
        shown: The jobs.

    Returns:
        A line such as `3 jobs: 2 running (1 stalled), 1 finished`.
    """
    found = Counter(item.job["status"] for item in shown)
    stalled = sum(item.stalled for item in shown)
    line = Text(f"{count(len(shown), 'job')}: ")
    # In the order in which a job goes through them.
    order = [*STATUS_STYLES, *found]
    for place, status in enumerate(sorted(found, key=order.index)):
        line.append(", " if place else "").append(f"{found[status]} {plain(status)}", status_style(status))
        if status == "running" and stalled:
            line.append(f" ({stalled} stalled)", "bold red")
    return line


def status_text(item: Shown) -> Text:
    """Write a job's status, and whether it stalls.

    Args:
        item: The job.

    Returns:
        Such as `running, stalled`.
    """
    if item.gone:
        return Text("gone", "red")
    status = item.job["status"]
    text = Text(plain(status), status_style(status))
    return Text.assemble(text, (", stalled", "bold red")) if item.stalled else text


def progress_text(job: Json, cells: int) -> Text:
    """Draw how far a job is.

    Args:
        job: The job.
        cells: How many columns of the terminal the bar takes.

    Returns:
        The bar and the percentage; the bar alone where the total is not known.
    """
    percentage = job["percentage"]
    if percentage is None:
        return bar(None, cells, "")
    # Rounded down where it is short of room, as it is where it comes from: 100 is only said of what is done.
    told = f"{int(percentage):3}%" if cells < _WIDE_BAR else f"{percentage:5.1f}%"
    return Text.assemble(bar(percentage / 100, cells, status_style(job["status"])), " ", told)


def rate_text(rate: Json | None) -> str:
    """Write how fast a job is going; nothing where that is not known."""
    return "" if rate is None or rate["itemsPerSecond"] is None else speed(rate["itemsPerSecond"])


def left_text(rate: Json | None) -> str:
    """Write how long a job has to go; nothing where that is not known."""
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
    told = [part for part in parts if part.plain]
    return cut(Text.assemble("    ", Text(", ", "dim").join(told)), room) if told else None
