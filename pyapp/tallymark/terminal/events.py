"""Events of a job's timeline as rows: when, what kind, and what it brought in a few words."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from tallymark.functions.call import Json
from tallymark.functions.jobs import Event
from tallymark.terminal.grid import Column, grid
from tallymark.terminal.text import clock, compact, duration, plain

_STYLES = {
    "error": "red",
    "completion": "green",
    "credential_status_change": "yellow",
    "areas_discovered": "cyan",
    "stage_change": "cyan",
    "command_requested": "magenta",
}
#: Of an update's details, what is told in its own way, or what would be too long.
_TOLD = frozenset({
    "status", "processedItems", "totalItems", "itemsByType", "errorType", "errorMessage", "fromStage", "toStage",
    "stage", "finalCounts", "duration", "summary", "message", "stack", "credentialStatus",
})  # fmt: skip
_OF_A_CREDENTIAL = ("errorType", "providerId", "instanceType", "message")


def event_lines(events: Sequence[Event], room: int | None) -> list[Text]:
    """Put events in a table.

    Args:
        events: The events; at least one.
        room: How wide the screen is; None is wide enough for anything.

    Returns:
        The headings, and a line for each event.
    """
    # Where all are of one day, that stands above them once.
    days = {clock(event.timestamp).split()[0] for event in events}
    time = Column(days.pop() if len(days) == 1 else "time")
    columns = (Column("seq", right=True), time, Column("event", least=12), Column("what it brought", least=12))
    return grid(columns, [_row(event, short=time.heading != "time") for event in events], room)


def events_of(job: Json) -> list[Event]:
    """Take the events out of a job that came with them.

    Args:
        job: As `get_job` gives it.

    Returns:
        The events. When they were recorded does not come with a job: that is given as when they happened.
    """
    return [
        Event(item["seq"], at, item["event"], item["details"], at)
        for item in job["progress"]["timeline"]
        for at in [datetime.fromisoformat(item["timestamp"])]
    ]


def _row(event: Event, *, short: bool) -> list[Text]:
    at = clock(event.timestamp)
    return [
        Text(str(event.seq), "dim"),
        Text(at.split()[1] if short else at, "dim"),
        Text(plain(event.event), _STYLES.get(event.event, "")),
        Text(", ".join(_words(event.details))),
    ]


def _words(details: Any) -> Iterator[str]:  # noqa: ANN401 - those of a crawler's own events are any JSON
    """Say what an event brought, the most telling first."""
    if not isinstance(details, Mapping):
        yield compact(details)
    elif "status" not in details:
        # No update: all of it is the crawler's own, or the operator's.
        yield from (f"{plain(name)} {compact(value)}" for name, value in details.items())
    else:
        if details["status"] != "processing":
            yield compact(details["status"])
        yield from _told(details)
        yield from (f"{plain(name)} {compact(value)}" for name, value in details.items() if name not in _TOLD)


def _told(details: Mapping[str, Any]) -> Iterator[str]:
    if error := ": ".join(compact(details[name]) for name in ("errorType", "errorMessage") if details.get(name)):
        yield error
    if "toStage" in details:
        before = details.get("fromStage")
        yield (f"{compact(before)} → " if before else "") + compact(details["toStage"] or "no stage")
    if "summary" in details:
        yield compact(details["summary"])
    elif "processedItems" in details:
        total = details.get("totalItems")
        yield compact(details["processedItems"]) + (
            " processed" if total is None else f" of {compact(total)} processed"
        )
    if isinstance(milliseconds := details.get("duration"), int | float):
        yield f"in {duration(milliseconds / 1000)}"
    if isinstance(counts := details.get("itemsByType"), Mapping):
        yield from (f"{plain(name)} {compact(value)}" for name, value in counts.items())
    if isinstance(credential := details.get("credentialStatus"), Mapping):
        yield from (compact(credential[name]) for name in _OF_A_CREDENTIAL if credential.get(name))
    if message := details.get("message"):
        yield compact(message)
