"""Mends an update that the server refused, so that counts, cursor, state and the end are not lost with a bad field.

First only what the refusal names is left out: a field, a member of it, an entry of a list. The last resort is an update
of counts, cursor, state and status alone, and for an end an update of the status alone. What is left out is kept with
the answer, see `Job.refused`.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from tallymark.client.answers import BAD, TOO_LARGE
from tallymark.client.records import Waiting
from tallymark.client.transport import as_json

#: Without these no update is what it was: a worker without its name would become another one.
_ENVELOPE = ("taskId", "status", "timestamp", "updateId", "workerId")
#: What belongs together: counts must not be sent without their cursor and resume state.
_COUNTED = (
    "itemsByType",
    "itemKeys",
    "foundByType",
    "failedByType",
    "skippedByType",
    "processedItems",
    "lastProcessedId",
    "doneBeyond",
    "progress",
)
_KEPT = frozenset({*_ENVELOPE, *_COUNTED})
_PLAIN = "processing"
_AREAS = "new_areas_discovered"
_WAITING = "waiting"
_OF_A_WAIT = ("status", "waitUntil", "reason")
#: What a mended update's id has behind the first id: how often it was mended, or what is left of it.
_MARK = "-mended"
_BARE = "-bare"
_END = "-end"
#: A refusal names some 200 problems at most, so a long list may need several turns.
_MOST_TURNS = 20
_INDEX = re.compile(r"\[(\d+)\]")


class Mended(NamedTuple):
    """An update that takes the place of a refused one: id and text, and as JSON what was left out.

    Nothing was left out of a wait that is reported as progress: a server of an earlier release does not know waits.
    """

    update_id: str
    text: str
    left_out: str | None


def first_id(update_id: str) -> str:
    """Return the id that an update had before it was mended."""
    return update_id.partition(_MARK)[0]


def mend(row: Waiting, answer: Mapping[str, Any]) -> Mended | None:
    """Return what to send instead of a refused update; None if nothing else can be tried."""
    if answer.get("status") not in {BAD, TOO_LARGE}:
        return None
    # A damaged spool may have anything here.
    with suppress(ValueError):
        payload = json.loads(row.text)
        if isinstance(payload, dict):
            return _mend(row, payload, answer)
    return None


def _mend(row: Waiting, payload: dict[str, Any], answer: Mapping[str, Any]) -> Mended | None:
    base, _, stage = row.update_id.partition(_MARK)
    turn = _turn(row.update_id, stage)
    if payload.get("status") == _WAITING and "status" in _fields(answer.get("details")):
        kept = {**{name: value for name, value in payload.items() if name not in _OF_A_WAIT}, "status": _PLAIN}
        return _as_mended(payload, kept, {}, base, f"-{turn + 1}" if turn else "")
    if stage not in {_BARE, _END}:
        if answer.get("status") == BAD and turn < _MOST_TURNS:
            kept, left_out = _without(payload, answer.get("details"))
            if left_out:
                return _as_mended(payload, kept, left_out, base, f"-{turn + 1}" if turn else "")
        kept = {name: value for name, value in payload.items() if name in _KEPT}
        if len(kept) < len(payload):
            return _as_mended(payload, kept, _rest(payload, kept), base, _BARE)
    if stage != _END and payload.get("status") != _PLAIN:
        kept = {name: value for name, value in payload.items() if name in _ENVELOPE}
        if len(kept) < len(payload):
            return _as_mended(payload, kept, _rest(payload, kept), base, _END)
    return None


def _turn(update_id: str, stage: str) -> int:
    """Return how often an update was mended by what the refusals named."""
    if stage in {_BARE, _END} or _MARK not in update_id:
        return 0
    return int(stage[1:]) if stage[1:].isdecimal() else 1


def _fields(details: Any) -> list[str]:  # noqa: ANN401 - as it came
    return [str(problem.get("field")) for problem in details or () if isinstance(problem, dict)]


def _rest(payload: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in kept}


def _as_mended(
    payload: Mapping[str, Any], kept: dict[str, Any], left_out: Mapping[str, Any], base: str, stage: str
) -> Mended:
    if kept.get("status") == _AREAS and not kept.get("areas"):
        kept["status"] = _PLAIN
    kept["updateId"] = f"{base}{_MARK}{stage}"
    envelope = {name: payload[name] for name in _ENVELOPE if name in payload}
    return Mended(kept["updateId"], as_json(kept), as_json({**envelope, **left_out}) if left_out else None)


def _without(payload: Mapping[str, Any], details: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401 - as it came
    """Return an update without what the problems name, and what that was, in the same shape."""
    kept = json.loads(json.dumps(payload))
    left_out: dict[str, Any] = {}
    #: Entries of lists go together in the end, because the problems have the indexes of the refused update.
    entries: dict[int, tuple[list[Any], set[int]]] = {}
    # All of them, and not only the first.
    if not sum(_leave_out(kept, left_out, entries, field) for field in _fields(details)):
        return kept, {}
    for values, numbers in entries.values():
        values[:] = [value for number, value in enumerate(values) if number not in numbers]
    _drop_empty(kept, left_out)
    return kept, left_out


def _drop_empty(kept: dict[str, Any], left_out: Mapping[str, Any]) -> None:
    """Leave out objects and lists that have become empty."""
    for name, out in left_out.items():
        inner = kept.get(name)
        if isinstance(inner, dict) and isinstance(out, dict):
            _drop_empty(inner, out)
        if inner in ([], {}):
            del kept[name]


def _leave_out(
    kept: dict[str, Any], left_out: dict[str, Any], entries: dict[int, tuple[list[Any], set[int]]], field: str
) -> bool:
    """Leave out what one problem names: the innermost member of an object, or the outermost entry of a list."""
    if field == "processedItems":
        # It is greater than the total that stands beside it.
        totals = [total for total in ("totalItems", "total") if total in kept]
        left_out.update({total: kept.pop(total) for total in totals})
        return bool(totals)
    value: Any = kept
    out: Any = left_out
    rest, depth = field, 0
    while True:
        if isinstance(value, list):
            index = _INDEX.match(rest)
            if index is None or int(index[1]) >= len(value):
                return False
            _, numbers = entries.setdefault(id(value), (value, set()))
            if int(index[1]) not in numbers:
                numbers.add(int(index[1]))
                out.append(value[int(index[1])])
            return True
        name = _name_in(value, rest)
        if name is None or (not depth and name == rest and name in _KEPT):
            return False
        rest = rest[len(name) :].removeprefix(".")
        inner = value[name]
        if not rest or not isinstance(inner, (dict, list)):
            if not depth and name in _KEPT:
                return False
            out[name] = value.pop(name)
            return True
        value, out, depth = inner, out.setdefault(name, type(inner)()), depth + 1


def _name_in(value: Mapping[str, Any], path: str) -> str | None:
    """Return the member that a path begins with; the longest one, because names may have dots and brackets."""
    found = [
        name for name in value if name and path.startswith(name) and (len(path) == len(name) or path[len(name)] in ".[")
    ]
    # The server cuts long names.
    return max(found, key=len, default=next((name for name in value if path and name.startswith(path)), None))
