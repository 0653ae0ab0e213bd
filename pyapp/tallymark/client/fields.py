"""Sorts the fields that a crawler gives by name, so that none of them can cause the loss of another one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tallymark.client.checks import (
    CURSOR,
    DATA_TYPE,
    EVENT,
    MESSAGE_CHARACTERS,
    MOST_CALL_BYTES,
    MOST_FIELDS,
    OPERATIONS,
    REASON,
    STAGE,
    Text,
    as_areas,
    as_sent,
    as_state,
    as_whole,
    check_text,
    is_first,
    shown,
)
from tallymark.client.fitting import fit_error
from tallymark.client.log import log as _log
from tallymark.client.updates import INCREMENTS, Fields, clean

#: The fields that the client sets itself, and what to call instead.
OWN: Mapping[str, str] = {
    "taskId": "it is the job's id",
    "status": "end the job with complete(), pause(), cancel() or fail()",
    "timestamp": "the client gives each update its time",
    "updateId": "the client gives each update its id",
    "workerId": "name the worker in client.job(worker=)",
    "itemsByType": "count with advance()",
    "itemKeys": "count with advance(key=)",
    "processedItems": "count with advance()",
    "counting": "the client always sends increments",
    "doneBeyond": "the client sends it with the cursor",
}
#: Counts, also under the names of the original.
WHOLE = frozenset({"processed", "groupCount", "projectCount", "groupTotal", "projectTotal"})
TEXTS: Mapping[str, Text] = {"stage": STAGE, "currentDataType": DATA_TYPE, "reason": REASON}
#: Objects of counts.
_BY_TYPE = frozenset({*INCREMENTS, "totalsByType"})
#: For what is cut afterwards.
_ANY_BYTES = 2**30


class Given(NamedTuple):
    """Fields that were checked, by the way on which they are sent. What is not given is None or empty."""

    #: The newest value of each counts.
    fields: Fields
    #: They travel with the counts.
    state: Any = None
    cursor: str | None = None
    total: int | None = None
    #: An update of their own.
    increments: Fields | None = None
    areas: list[dict[str, Any]] | None = None
    #: Entries of the timeline, each with its size.
    events: tuple[tuple[dict[str, Any], int], ...] = ()


def sort(fields: Mapping[str, Any]) -> Given:
    """Check fields, and sort them. Raises TypeError or ValueError, before anything has changed."""
    if own := sorted(OWN.keys() & fields.keys()):
        raise ValueError(
            "the client sets these fields itself, leave them out: " + "; ".join(f"{name} ({OWN[name]})" for name in own)
        )
    if len(fields) > MOST_FIELDS:
        raise ValueError(f"at most {MOST_FIELDS} fields can be given at once, not {len(fields)}: put them into one")
    left = {name: value for name, value in fields.items() if value is not None}
    state = as_state(left.pop("progress"), "progress") if "progress" in left else None
    cursor = left.pop("lastProcessedId", None)
    if cursor is not None:
        check_text("lastProcessedId", cursor, CURSOR)
    total, old = left.pop("totalItems", None), left.pop("total", None)
    total = as_whole("total", old) if total is None and old is not None else total
    areas = as_areas(left.pop("areas")) if "areas" in left else None
    events = tuple(_as_event(f"timeline[{n}]", one) for n, one in enumerate(_as_list(left.pop("timeline", ()))))
    kept = {clean(name): _as_field(name, value) for name, value in left.items()}
    size = sum(size for _value, size in kept.values())
    if size > MOST_CALL_BYTES:
        raise ValueError(f"the fields take {size} bytes as JSON, at most {MOST_CALL_BYTES} are allowed in one call")
    return Given(
        {name: value for name, value in kept.items() if name not in INCREMENTS},
        state,
        None if cursor is None else clean(cursor),
        None if total is None else as_whole("totalItems", total),
        {name: value for name, value in kept.items() if name in INCREMENTS} or None,
        areas,
        events,
    )


def _as_field(name: str, value: Any) -> tuple[Any, int]:  # noqa: ANN401 - any JSON
    """Return a field as it is sent, and its size."""
    if name in WHOLE:
        value = as_whole(name, value)
    elif name in TEXTS:
        check_text(name, value, TEXTS[name])
    elif name == "operationType" and value not in OPERATIONS:
        raise ValueError(f"operationType must be {', '.join(OPERATIONS[:-1])} or {OPERATIONS[-1]}, not {shown(value)}")
    elif name == "message":
        value = cut_message(value)
    elif name == "error":
        if not isinstance(value, (str, Mapping)):
            raise TypeError(f"error must be text or a mapping, not {shown(value)}")
        whole, _size = as_sent(name, {"message": value} if isinstance(value, str) else value, _ANY_BYTES)
        value = fit_error(whole)
    elif name == "credentialStatus" and not isinstance(value, Mapping):
        raise TypeError(f"credentialStatus must be a mapping, not {shown(value)}")
    elif name in _BY_TYPE:
        value = _as_counts(name, value)
    kept, size = as_sent(name, value)
    return kept, size + len(name)


def _as_counts(name: str, value: object) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping of counts, not {shown(value)}")
    if len(value) > 200:  # noqa: PLR2004 - by the protocol
        raise ValueError(f"{name} must have at most 200 types, not {len(value)}")
    for type_ in value:
        check_text(f"a type in {name}", type_, Text(1, 100, "use few short names of types"))
    return {type_: as_whole(f"{name}[{shown(type_)}]", number) for type_, number in value.items()}


def cut_message(message: object) -> str:
    """Return a message as the protocol takes it; a longer one is cut."""
    if not isinstance(message, str):
        raise TypeError(f"message must be text, not {shown(message)} ({type(message).__name__})")
    if len(message) > MESSAGE_CHARACTERS and is_first("message"):
        _log.warning("a message of %d characters was cut to %d: %s", len(message), MESSAGE_CHARACTERS, shown(message))
    return message[:MESSAGE_CHARACTERS]


def as_event(name: object, details: object, timestamp: str) -> tuple[dict[str, Any], int]:
    """Return an entry of the crawler's own timeline, and its size."""
    check_text("an event's name", name, EVENT)
    if details is not None and not isinstance(details, Mapping):
        raise TypeError(f"details must be a mapping, not {shown(details)}")
    event, size = as_sent("details", {"timestamp": timestamp, "event": name, "details": dict(details or {})})
    return event, size


def _as_list(value: object) -> list[Any]:
    if isinstance(value, (str, Mapping)) or not hasattr(value, "__iter__"):
        raise TypeError(f"timeline must be a list of mappings, not {shown(value)}")
    return list(value)


def _as_event(place: str, event: object) -> tuple[dict[str, Any], int]:
    if not isinstance(event, Mapping):
        raise TypeError(f"{place} must be a mapping with timestamp and event, not {shown(event)}")
    check_text(f"{place}['event']", event.get("event"), EVENT)
    if not isinstance(event.get("timestamp"), str):
        raise TypeError(f"{place}['timestamp'] must be a time in ISO 8601, not {shown(event.get('timestamp'))}")
    kept, size = as_sent(place, event)
    return kept, size


def check_stage(name: object, operation: object, data_type: object) -> None:
    """Raise for a stage that the server would refuse."""
    _as_field("stage", name)
    if operation is not None:
        _as_field("operationType", operation)
    if data_type is not None:
        check_text("data_type", data_type, DATA_TYPE)
