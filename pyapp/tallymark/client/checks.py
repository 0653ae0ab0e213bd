"""What is checked when the crawler says it: an update that the server refuses would cost the counts beside it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from tallymark.client.updates import clean

#: The largest number of the protocol.
MOST = 2**53 - 1
#: The client gives these itself.
_OWN = frozenset({"taskId", "status", "timestamp", "updateId", "workerId", "itemsByType", "processedItems", "counting"})
_MOST_AREAS = 1000
_MOST_STATE_BYTES = 64 * 1024
_LONGEST_TYPE = 100


def is_whole(number: object) -> TypeGuard[int]:
    """Say whether it is a whole number."""
    return isinstance(number, int) and not isinstance(number, bool)


def check_type(name: str) -> None:
    """Refuse the name of a type that the server would refuse."""
    if not 1 <= len(name) <= _LONGEST_TYPE:
        raise ValueError("the name of a type has 1 to 100 characters")


def check_fields(fields: Mapping[str, Any]) -> None:
    """Refuse what the client gives itself."""
    if own := sorted(_OWN & fields.keys()):
        raise ValueError(f"the client gives these itself: {', '.join(own)}")


def as_state(state: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a resume state that the server takes, or raise: counts must not go where it could not follow."""
    kept = clean(state)
    if len(json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()) > _MOST_STATE_BYTES:
        raise ValueError("a resume state has at most 64 KB")
    return kept


def digest(key: str) -> bytes:
    """Return what stands for the key of an item."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def parts_of(areas: list[dict[str, Any]], max_bytes: int) -> Iterator[list[dict[str, Any]]]:
    """Divide areas into parts that fit an update each."""
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
