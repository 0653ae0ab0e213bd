"""One job, part by part: what it is at, its counts, its stages, its events."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from tallymark import functions
from tallymark.functions.call import Json
from tallymark.plain import plain
from tallymark.terminal.rows import Shown, left_text, progress_text, rate_text, status_text, wait_text
from tallymark.terminal.tables import Column, table_lines
from tallymark.terminal.text import SHORT_STYLE, ago, bar, clock, compact, count, cut, duration, instant, speed, wrapped

#: Where the text beside a label begins.
_INDENT = 14
_HEAD_BAR, _WIDEST_BAR = 40, 60
#: The bars of the books, and the width from which on there is room for them.
_BOOKS_BAR, _WIDE_BOOKS = 20, 90

_COUNTS = (Column("type", least=8, middle=True), Column("count", right=True), Column(""))
_BOOKS = (
    Column("type", least=8, middle=True),
    *(Column(name, right=True) for name in ("done", "failed", "skipped", "left", "total")),
    Column(""),
)
_STAGES = (
    Column("seq", right=True),
    Column("stage", least=8, middle=True),
    Column("began"),
    Column("took", right=True),
)
#: The label of the fact that a job stalls, by its state.
_MARKS = {"stuck": "stuck", "never_reported": "unreported"}
_WAITS = (
    Column("waited for", least=10, middle=True),
    Column("times", right=True),
    Column("last began"),
    Column("in all", right=True),
)
#: How many types are named that items are missing of.
_MOST_MISSING = 5
_FAMILY = (Column("part", least=8, middle=True), Column("status"), Column("progress", least=12))
_RUNS = (
    Column("run before", least=8, middle=True),
    Column("status"),
    Column("items", least=12),
    Column("took", right=True),
)
_EVENT_STYLES = {
    "error": "red",
    "completion": "green",
    "credential_status_change": "yellow",
    "areas_discovered": "cyan",
    "stage_change": "cyan",
    "command_requested": "magenta",
}
#: Counts by type in an update's details, and what stands behind each.
_BY_TYPE = (
    ("itemsByType", ""),
    ("counted", ""),
    ("seenBefore", " seen before"),
    ("foundByType", " found"),
    ("failedByType", " failed"),
    ("skippedByType", " skipped"),
    ("totalsByType", " in all"),
)
#: Members of an update's details that `_summary` words in its own way, or that would be too long.
_WORDED = frozenset({
    "status", "processedItems", "totalItems", "itemsByType", "counted", "seenBefore", "errorType", "errorMessage",
    "fromStage", "toStage", "stage", "finalCounts", "duration", "summary", "message", "stack", "credentialStatus",
    "foundByType", "failedByType", "skippedByType", "totalsByType", "shortfall",
})  # fmt: skip


def head(
    item: Shown,
    *,
    now: datetime,
    room: int | None,
    stalled: functions.StalledJob | None = None,
    at: int | None = None,
    most: int = 5,
) -> list[Text]:
    """Return what a job is at. `at` is the number of an event, where it is shown as it was after that.

    A text that a crawler wrote takes at most `most` lines; `--json` has all of it.
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
        # A resume state has up to 64 KB: no more of it is wrapped than is shown.
        broken = wrapped(text if beside is None else text[: beside * (most + 1)], beside)
        for place, part in enumerate(broken[:most]):
            more = " …" if place == most - 1 and len(broken) > most else ""
            lines.append(Text.assemble((("" if place else label).ljust(_INDENT), "dim"), part, more))
    return lines


def counts(job: Json, room: int | None, most: int) -> list[Text]:
    """Return a line for each type of items, at most so many.

    Of a job with books the one of which most are left comes first; of any other the largest, with bars in proportion.
    """
    if job.get("books") and most:
        return _books(job, room, most)
    found = sorted((job["progress"].get("itemsByType") or {}).items(), key=lambda item: (-item[1], item[0]))
    if not found or not most:
        return []
    largest = found[0][1] or 1
    cells = _HEAD_BAR if room is None else max(min(room // 2, _WIDEST_BAR), 10)
    rows = [
        [Text(plain(name) or "further types"), Text(compact(number)), _proportion(number / largest, cells)]
        for name, number in found[:most]
    ]
    lines = table_lines(_COUNTS, rows, room)
    return [*lines, Text(f"and {count(len(found) - most, 'more type')}", "dim")] if len(found) > most else lines


def _books(job: Json, room: int | None, most: int) -> list[Text]:
    """Write what became of the items of each type, and how many are left."""
    found = sorted(job["books"].items(), key=lambda item: (-(item[1]["left"] or 0), item[0]))
    cells = _BOOKS_BAR if room is None or room >= _WIDE_BOOKS else 0
    rows = [
        [
            Text(plain(name) or "further types"),
            *(Text(_known(book[part])) for part in ("done", "failed", "skipped")),
            Text(_known(book["left"]), SHORT_STYLE if name in (job["shortfall"] or {}) else ""),
            Text(_known(book["total"]) + (f" ({book['over']:,} over)" if book["over"] else "")),
            _parts(book, cells),
        ]
        for name, book in found[:most]
    ]
    lines = table_lines(_BOOKS, rows, room)
    return [*lines, Text(f"and {count(len(found) - most, 'more type')}", "dim")] if len(found) > most else lines


def _known(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _parts(book: Json, cells: int) -> Text:
    """Draw what is not left any more of a type; only the bar where the total is not known."""
    total = book["total"]
    if not cells or total == 0:
        return Text("")
    return bar(None if total is None else (total - book["left"]) / total, cells, "green")


def stages(found: Sequence[functions.Stage], room: int | None, most: int) -> list[Text]:
    """Return how long a job was in each of its stages, at most so many, the last ones."""
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
    lines = table_lines(_STAGES, rows, room)
    return [*lines, Text(f"after {count(len(found) - most, 'earlier stage')}", "dim")] if len(found) > most else lines


def waits(found: Sequence[functions.Waited], room: int | None, most: int) -> list[Text]:
    """Return how long a job waited for each reason, at most so many, the longest first."""
    if not found:
        return []
    rows = [
        [
            Text(plain(wait.reason or "no reason given"), "bold" if wait.is_current else ""),
            Text(str(wait.waits)),
            Text(clock(wait.last_at), "dim"),
            Text(duration(float(wait.seconds)) + (" so far" if wait.is_current else "")),
        ]
        for wait in found[:most]
    ]
    lines = table_lines(_WAITS, rows, room)
    return [*lines, Text(f"and {count(len(found) - most, 'more reason')}", "dim")] if len(found) > most else lines


def family(found: Json | None, room: int | None) -> list[Text]:
    """Return the sums of the jobs that are part of a job, and a line for each that was listed."""
    if not found or not found["children"]:
        return []
    statuses = ", ".join(f"{jobs} {plain(status)}" for status, jobs in found["statuses"].items())
    line = f"{count(found['children'], 'part')} ({statuses}): {plain(found['summary'])}"
    if found["etaSeconds"] is not None:
        unknown = f", {found['withoutEta']} without a time" if found["withoutEta"] else ""
        line += f", left {duration(found['etaSeconds'])}{unknown}"
    rows = [[Text(plain(job["id"])), Text(job["status"]), Text(plain(job["summary"]))] for job in found["jobs"]]
    lines = [*wrapped(Text(line, "bold"), room), *table_lines(_FAMILY, rows, room)]
    more = found["children"] - len(rows)
    return [*lines, Text(f"and {more} more: tallymark jobs --parent", "dim")] if more else lines


def runs(found: Json | None, now: datetime, room: int | None) -> list[Text]:
    """Return what is usual for a run of a series, and a line for each run before it."""
    if not found or not found["comparison"]:
        return []
    seen = found["comparison"]
    lines = [Text(f"series {plain(found['series'])}", "bold")]
    if not seen["runs"]:
        return [*lines, Text("no run before this one has finished", "dim")]
    usual = (
        f"{count(seen['items'], 'item', ',')} after {duration(seen['elapsedSeconds'] or 0)}; "
        f"usual by then {seen['usual'] or 0:,} ({seen['lowest'] or 0:,} to {seen['highest'] or 0:,} "
        f"in {count(seen['runs'], 'run')}), in all {seen['usualTotal']:,} in {duration(seen['usualSeconds'])}"
    )
    if (end := instant(seen["expectedEnd"])) is not None:
        usual += f"; expected end {clock(end)}, {ago(end, now)}" if end <= now else f"; expected end {clock(end)}"
    lines += wrapped(Text(usual), room)
    if seen["unusual"]:
        lines.append(Text("unusual: less than half of the lowest of these", "bold red"))
    rows = [
        [Text(plain(run["id"])), Text(run["status"]), Text(plain(run["summary"])), Text(duration(run["seconds"] or 0))]
        for run in found["runs"]
    ]
    return [*lines, *table_lines(_RUNS, rows, room)]


def event_lines(found: Sequence[functions.Event], room: int | None) -> list[Text]:
    """Return a line for each event: its number, when, what kind, and what it brought."""
    if not found:
        return []
    # Where all events are of one day, the day is the heading.
    days = {clock(event.timestamp).split()[0] for event in found}
    one_day = len(days) == 1
    rows = [
        [
            Text(str(event.seq), "dim"),
            Text(clock(event.timestamp).split()[1] if one_day else clock(event.timestamp), "dim"),
            Text(plain(event.event), _EVENT_STYLES.get(event.event, "")),
            Text(", ".join(_summary(event.details))),
        ]
        for event in found
    ]
    time = Column(days.pop() if one_day else "time")
    columns = (Column("seq", right=True), time, Column("event", least=12), Column("details", least=12))
    return table_lines(columns, rows, room)


def events_of(job: Json) -> list[functions.Event]:
    """Return the events in a job's document, which does not say when they were recorded."""
    return [
        functions.Event(item["seq"], at, item["event"], item["details"], at)
        for item in job["progress"]["timeline"]
        for at in [datetime.fromisoformat(item["timestamp"])]
    ]


def _facts(item: Shown, now: datetime, stalled: functions.StalledJob | None) -> Iterator[tuple[str, Text]]:
    """Yield labels and texts, for all that is known."""
    job, progress = item.job, item.job["progress"]
    if stalled is not None:
        yield _MARKS.get(stalled.state, "stalled"), Text(_silence(stalled, now), "bold red")
    if wait := wait_text(job):
        yield "waits", Text(wait, "blue")
    if missing := job.get("shortfall"):
        most = sorted(missing.items(), key=lambda item: (-item[1], item[0]))
        said = ", ".join(f"{number:,} {plain(name)}" for name, number in most[:_MOST_MISSING])
        more = f" and those of {count(len(most) - _MOST_MISSING, 'more type')}" if len(most) > _MOST_MISSING else ""
        yield "missing", Text(said + more, SHORT_STYLE)
    if job["command"]:
        yield "asked", Text(f"{job['command']}; the crawler has not obeyed yet", "bold yellow")
    if doing := [plain(progress[name]) for name in ("stage", "operationType", "currentDataType") if progress.get(name)]:
        yield "doing", Text(", ".join(dict.fromkeys(doing)))
    if rate := rate_text(item.rate):
        yield "rate", Text(rate + _interval(item.rate, "low", "high", speed))
    if left := left_text(item.rate):
        yield "left", Text(left + _interval(item.rate, "etaSecondsLow", "etaSecondsHigh", duration) + _eta(item.rate))
    if progress.get("error"):
        yield "last error", _error(progress, now)
    yield from _times(job, now)
    yield from _reported(job)


def _silence(stalled: functions.StalledJob, now: datetime) -> str:
    silent, allowed = (duration(span.total_seconds()) for span in (stalled.silent, stalled.allowed))
    if stalled.state == "never_reported":
        return f"registered {silent} ago, and no crawler has reported on it"
    if stalled.wait_until is not None and stalled.wait_until > stalled.last_update:
        late = f"its wait ended {ago(stalled.wait_until, now)}, and no update has come since"
    else:
        late = f"no update for {silent}"
    if stalled.state == "stuck":
        return f"alive, no progress: {late}, the last sign of life {ago(stalled.alive_at, now)}; usual is {allowed}"
    sign = f"no sign of life since {clock(stalled.alive_at)}; " if stalled.alive_at else ""
    return f"{late}; {sign}its updates usually come within {allowed}"


def _times(job: Json, now: datetime) -> Iterator[tuple[str, Text]]:
    # A job as it was does not say when it was registered.
    for label, name in (("registered", "createdAt"), ("started", "startedAt"), ("updated", "updatedAt")):
        if then := instant(job.get(name)):
            yield label, Text(f"{clock(then)}, {ago(then, now)}")
    started, ended = instant(job["startedAt"]), instant(job["finishedAt"])
    if started and ended:
        yield "ended", Text(f"{clock(ended)}, {ago(ended, now)}, after {duration((ended - started).total_seconds())}")


def _reported(job: Json) -> Iterator[tuple[str, Text]]:
    """Yield what else the crawler has reported."""
    progress = job["progress"]
    if isinstance(areas := progress.get("lastAreasDiscovery"), dict):
        yield "areas", Text(_areas(areas))
    for label, value in (
        ("message", progress.get("message")),
        ("credential", progress.get("credentialStatus")),
        ("last id", progress.get("lastProcessedId")),
        ("resume state", job["resumeState"]),
        ("part of", job.get("parent")),
        ("attributes", job.get("attributes")),
    ):
        if value not in (None, "", {}):
            yield label, Text(compact(value))


def _interval(rate: Json | None, low: str, high: str, write: Any) -> str:  # noqa: ANN401 - a function on numbers
    """Write between what the true figure probably is; a time left may have no upper bound."""
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
    text = compact(error)
    if isinstance(error, dict) and (error.get("type") or error.get("message")):
        text = ": ".join(compact(error[name]) for name in ("type", "message") if error.get(name))
        text += f" (code {compact(error['code'])})" if error.get("code") else ""
    at = instant(progress.get("errorTimestamp"))
    return Text.assemble((text, "red"), (f"  {ago(at, now)}" if at else "", "dim"))


def _areas(areas: dict[str, Any]) -> str:
    groups, projects = count(areas.get("groupsCount", 0), "group"), count(areas.get("projectsCount", 0), "project")
    return f"{compact(areas.get('totalDiscovered'))} in the last discovery, {groups}, {projects}"


def _proportion(part: float, cells: int) -> Text:
    """Draw a bar without its empty part; what is not 0 has at least half a column."""
    drawn = bar(max(part, 0.5 / cells) if part > 0 else 0, cells, "cyan")
    return Text(drawn.plain.rstrip("─"), "cyan")


def _summary(details: Any) -> Iterator[str]:  # noqa: ANN401 - those of a crawler's own events are any JSON
    """Say what an event brought, the most telling first."""
    if not isinstance(details, Mapping):
        yield compact(details)
    elif "status" not in details:
        # No update: all of it is the crawler's own, or the operator's.
        yield from (f"{plain(name)} {compact(value)}" for name, value in details.items())
    else:
        parts = [
            *([compact(details["status"])] if details["status"] != "processing" else []),
            *_update(details),
            *(f"{plain(name)} {compact(value)}" for name, value in details.items() if name not in _WORDED),
        ]
        yield from parts or ["at work, nothing new to count"]


def _update(details: Mapping[str, Any]) -> Iterator[str]:
    """Say what an update brought."""
    if error := ": ".join(compact(details[name]) for name in ("errorType", "errorMessage") if details.get(name)):
        yield error
    if "toStage" in details:
        before = details.get("fromStage")
        yield (f"{compact(before)} → " if before else "") + compact(details["toStage"] or "no stage")
    if isinstance(missing := details.get("shortfall"), Mapping):
        yield f"{sum(missing.values()):,} short"
    if "summary" in details:
        yield compact(details["summary"])
    else:
        yield from _processed(details)
    if isinstance(milliseconds := details.get("duration"), int | float):
        yield f"in {duration(milliseconds / 1000)}"
    for member, words in _BY_TYPE:
        if isinstance(found := details.get(member), Mapping):
            # That none of the keys was known is nothing to tell.
            yield from (f"{plain(name)} {compact(value)}{words}" for name, value in found.items() if value or not words)
    if isinstance(credential := details.get("credentialStatus"), Mapping):
        named = ("errorType", "providerId", "instanceType", "message")
        yield from (compact(credential[name]) for name in named if credential.get(name))
    if message := details.get("message"):
        yield compact(message)


def _processed(details: Mapping[str, Any]) -> Iterator[str]:
    """Say how many items are done, and how many are expected."""
    done, total = (compact(details[name]) if name in details else "" for name in ("processedItems", "totalItems"))
    if done:
        yield f"{done} of {total} processed" if total else f"{done} processed"
    elif total:
        yield f"{total} expected"
