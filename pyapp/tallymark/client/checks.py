"""Checks of what the crawler reports: if the server refused an update, the counts in it would be lost."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from tallymark.client.updates import clean

#: The largest number that the protocol allows.
MOST = 2**53 - 1
#: The fields that the client sets itself.
_OWN = frozenset({"taskId", "status", "timestamp", "updateId", "workerId", "itemsByType", "processedItems", "counting"})
_MOST_AREAS = 1000
_MOST_STATE_BYTES = 64 * 1024
_LONGEST_TYPE = 100


def is_whole(number: object) -> TypeGuard[int]:
    """Return whether a value is a whole number; True and False are not."""
    return isinstance(number, int) and not isinstance(number, bool)


def check_type(name: str) -> None:
    """Raise ValueError for a type's name that the server would refuse."""
    if not 1 <= len(name) <= _LONGEST_TYPE:
        raise ValueError("the name of a type must have 1 to 100 characters")


def check_fields(fields: Mapping[str, Any]) -> None:
    """Raise ValueError for fields that the client sets itself."""
    if own := sorted(_OWN & fields.keys()):
        raise ValueError(f"the client sets these fields itself, leave them out: {', '.join(own)}")


def as_state(state: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a resume state that can be sent, or raise: counts must not go ahead of a state that the server refuses."""
    kept = clean(state)
    if len(json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()) > _MOST_STATE_BYTES:
        raise ValueError("a resume state must not be larger than 64 KB: keep a cursor in it, not a queue")
    return kept


def parts_of(areas: list[dict[str, Any]], max_bytes: int) -> Iterator[list[dict[str, Any]]]:
    """Divide areas into parts that fit into an update each."""
    part: list[dict[str, Any]] = []
    size = 0
    for area in areas:
        its_size = len(json.dumps(area, allow_nan=False))
        if part and (size + its_size > max_bytes or len(part) >= _MOST_AREAS):
            yield part
            part, size = [], 0
        part.append(area)
        size += its_size
    if part:
        yield part
