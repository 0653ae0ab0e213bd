"""One job, part by part."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from tallymark.functions.call import Json
from tallymark.functions.stats import Stage, StalledJob
from tallymark.terminal.grid import Column, grid
from tallymark.terminal.rows import Shown, left_text, progress_text, rate_text, status_text
from tallymark.terminal.text import ago, bar, clock, compact, count, cut, duration, instant, plain, speed, wrapped

#: Where the text beside a label begins.
_INDENT = 14
_HEAD_BAR, _WIDEST_BAR = 40, 60

_COUNTS = (Column("type", least=8, middle=True), Column("count", right=True), Column(""))
_STAGES = (
    Column("seq", right=True),
    Column("stage", least=8, middle=True),
    Column("began"),
    Column("took", right=True),
)


def head(
    item: Shown,
    *,
    now: datetime,
    room: int | None,
    stalled: StalledJob | None = None,
    at: int | None = None,
    most: int = 5,
) -> list[Text]:
    """Tell what a job is at.

    Args:
        item: The job, and its rate.
        now: By the server's clock.
        room: How wide the screen is; None is wide enough for anything.
        stalled: What `stalled_jobs` says of it.
        at: The number of the event after which it was like this; None where it is now.
        most: How many lines a text may take that somebody else wrote; `--json` has all of it.

    Returns:
        The lines.
    """
    job = item.job
    lines = wrapped(Text(plain(job["id"]), "bold"), room)[:most]
    if at is not None:
        lines.append(Text(f"as it was after event {at}" if at else "as it was before its first event", "bold yellow"))
    cells = _HEAD_BAR if room is None else max(min(room // 3, _HEAD_BAR), 10)
    line = Text.assemble(status_text(item), "  ", progress_text(job, cells), "  ", plain(job["summary"]))
    lines.append(line if room is None else cut(line, room))
    for label, text in _facts(item, now, stalled):
        beside = None if room is None else max(room - _INDENT - 2, 10)
        # No more of it than may be shown: a resume state has up to 64 KB.
        broken = wrapped(text if beside is None else text[: beside * (most + 1)], beside)
        for place, line in enumerate(broken[:most]):
            more = " …" if place == most - 1 and len(broken) > most else ""
            lines.append(Text.assemble((("" if place else label).ljust(_INDENT), "dim"), line, more))
    return lines


def counts(job: Json, room: int | None, most: int) -> list[Text]:
    """Draw a job's counts by type, in proportion to each other.

    Args:
        job: The job.
        room: How wide the screen is; None is wide enough for anything.
        most: How many types at most, the largest.

    Returns:
        The headings and a line for each type; nothing where there are none.
    """
    found = sorted((job["progress"].get("itemsByType") or {}).items(), key=lambda item: (-item[1], item[0]))
    if not found or not most:
        return []
    largest = found[0][1] or 1
    cells = _HEAD_BAR if room is None else max(min(room // 2, _WIDEST_BAR), 10)
    rows = [
        [Text(plain(name)), Text(compact(number)), _proportion(number / largest, cells)]
        for name, number in found[:most]
    ]
    lines = grid(_COUNTS, rows, room)
    return [*lines, Text(f"and {len(found) - most} more", "dim")] if len(found) > most else lines


def stages(found: Sequence[Stage], room: int | None, most: int) -> list[Text]:
    """Tell how long a job was in its stages.

    Args:
        found: As `stage_durations` gives them.
        room: How wide the screen is; None is wide enough for anything.
        most: How many at most, the last ones.

    Returns:
        The headings and a line for each; nothing where there are none.
    """
    if not found:
        return []
    rows = [
        [
            Text(str(stage.seq), "dim"),
            # An update may also say that the job is in no stage any more.
            Text(plain(stage.stage or "no stage"), "" if stage.ended_at else "bold"),
            Text(clock(stage.started_at), "dim"),
            Text(duration(float(stage.seconds)) + ("" if stage.ended_at else " so far")),
        ]
        for stage in found[-most:]
    ]
    lines = grid(_STAGES, rows, room)
    return [*lines, Text(f"after {len(found) - most} others", "dim")] if len(found) > most else lines


def _facts(item: Shown, now: datetime, stalled: StalledJob | None) -> Iterator[tuple[str, Text]]:
    """Tell what there is to tell, each under its label."""
    job, progress = item.job, item.job["progress"]
    if stalled is not None:
        silent, allowed = (duration(span.total_seconds()) for span in (stalled.silent, stalled.allowed))
        yield "stalled", Text(f"silent for {silent}; its habit allows {allowed}", "bold red")
    if job["command"]:
        yield "asked", Text(f"{job['command']}; the crawler has not obeyed yet", "bold yellow")
    if at := [plain(progress[name]) for name in ("stage", "operationType", "currentDataType") if progress.get(name)]:
        yield "at", Text(", ".join(at))
    if rate := rate_text(item.rate):
        yield "rate", Text(rate + _interval(item.rate, "low", "high", speed))
    if left := left_text(item.rate):
        yield "left", Text(left + _interval(item.rate, "etaSecondsLow", "etaSecondsHigh", duration) + _eta(item.rate))
    if progress.get("error"):
        yield "last error", _error(progress, now)
    yield from _times(job, now)
    yield from _reported(job)


def _reported(job: Json) -> Iterator[tuple[str, Text]]:
    """Tell what else the crawler said."""
    progress = job["progress"]
    if isinstance(areas := progress.get("lastAreasDiscovery"), dict):
        yield "areas", Text(_areas(areas))
    for label, value in (
        ("message", progress.get("message")),
        ("credential", progress.get("credentialStatus")),
        ("last id", progress.get("lastProcessedId")),
        ("resume state", job["resumeState"]),
        ("attributes", job.get("attributes")),
    ):
        if value not in (None, "", {}):
            yield label, Text(compact(value))


def _times(job: Json, now: datetime) -> Iterator[tuple[str, Text]]:
    # A job as it was has not told when it was registered.
    for label, name in (("registered", "createdAt"), ("started", "startedAt"), ("updated", "updatedAt")):
        if at := instant(job.get(name)):
            yield label, Text(f"{clock(at)}, {ago(at, now)}")
    started, ended = instant(job["startedAt"]), instant(job["finishedAt"])
    if started and ended:
        yield "ended", Text(f"{clock(ended)}, {ago(ended, now)}, after {duration((ended - started).total_seconds())}")


def _interval(rate: Json | None, low: str, high: str, write: Any) -> str:  # noqa: ANN401 - a function on numbers
    """Write between what the true figure probably is; the longest time may be for ever."""
    if rate is None or rate[low] is None:
        return ""
    if rate[high] is None:
        return f"  ({write(rate[low])} or more)" if rate["low"] is not None else ""
    return f"  ({write(rate[low])} to {write(rate[high])})"


def _eta(rate: Json | None) -> str:
    at = instant(rate["eta"]) if rate else None
    return f", done at {clock(at)}" if at else ""


def _error(progress: Json, now: datetime) -> Text:
    error = progress["error"]
    told = compact(error)
    if isinstance(error, dict) and (error.get("type") or error.get("message")):
        told = ": ".join(compact(error[name]) for name in ("type", "message") if error.get(name))
        told += f" (code {compact(error['code'])})" if error.get("code") else ""
    at = instant(progress.get("errorTimestamp"))
    return Text.assemble((told, "red"), (f"  {ago(at, now)}" if at else "", "dim"))


def _areas(areas: dict[str, Any]) -> str:
    groups, projects = count(areas.get("groupsCount", 0), "group"), count(areas.get("projectsCount", 0), "project")
    return f"{compact(areas.get('totalDiscovered'))} discovered last, {groups}, {projects}"


def _proportion(part: float, cells: int) -> Text:
    """Draw a bar without what is left of it; something always shows of what is not nothing."""
    drawn = bar(max(part, 0.5 / cells) if part > 0 else 0, cells, "cyan")
    return Text(drawn.plain.rstrip("─"), "cyan")
