"""What a crawler has said since its last update was sealed: counts add up, all else is the newest."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

#: An update of the protocol has at most 200 types. Fewer leave room for what is said at the same moment.
_MOST_TYPES = 100
#: And at most 100 entries of a timeline.
_MOST_EVENTS = 50


class Update(NamedTuple):
    """An update that is sealed: it has its id and its time, and stays as it is.

    Attributes:
        update_id: Its id.
        payload: What the server gets.
        keys: Digests of what it counts, where that has keys.
    """

    update_id: str
    payload: dict[str, Any]
    keys: tuple[bytes, ...] = ()

    @property
    def mergeable(self) -> bool:
        """Whether nothing is lost when a later update takes its place and its counts."""
        return self.payload["status"] == "processing" and "timeline" not in self.payload


class Pending:
    """Collects what a crawler says. Not safe across threads."""

    def __init__(self, max_bytes: int) -> None:
        """Begin with nothing.

        Args:
            max_bytes: About how large an update may get before it has to be sealed.
        """
        self._max_bytes = max_bytes
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self.items = 0
        self._counts: dict[str, int] = {}
        self._fields: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._keys: list[bytes] = []

    def count(self, type_: str, number: int, *, key: bytes | None = None) -> None:
        """Count items.

        Args:
            type_: Their type.
            number: How many.
            key: The digest of what is counted, if it is to count once only.
        """
        self.items += number
        type_ = clean(type_)
        if number:
            self._counts[type_] = self._counts.get(type_, 0) + number
        if key is not None:
            self._keys.append(key)

    def give(self, fields: Mapping[str, Any]) -> None:
        """Take the newest of fields; None is nothing given.

        Args:
            fields: By their names in the protocol.
        """
        given = {name: clean(value) for name, value in fields.items() if value is not None}
        # What is no JSON is an error here, at the caller's, before anything has changed, and not when it is sent.
        sizes = {name: len(name) + len(json.dumps(value, allow_nan=False)) for name, value in given.items()}
        self._fields.update(given)
        self._sizes.update(sizes)

    def add_event(self, event: dict[str, Any]) -> None:
        """Take an entry of the crawler's own timeline."""
        self.give({"timeline": [*self._fields.get("timeline", ()), event]})

    @property
    def has_any(self) -> bool:
        """Whether there is anything to say."""
        return bool(self._counts or self._fields or self._keys)

    @property
    def is_full(self) -> bool:
        """Whether it has to be sealed before it takes more."""
        size = sum(self._sizes.values()) + sum(len(name) + 20 for name in self._counts)
        return (
            len(self._counts) >= _MOST_TYPES
            or size >= self._max_bytes
            or len(self._fields.get("timeline", ())) >= _MOST_EVENTS
        )

    def contents(self) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """Return the members of an update that say it, and the keys that it counts."""
        members = dict(self._fields)
        if self._counts:
            members["itemsByType"] = dict(self._counts)
        return members, tuple(self._keys)


def clean(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Replace what JSON can carry and PostgreSQL cannot: NUL, and halves of surrogate pairs.

    Messages of errors have them.

    Args:
        value: Any JSON.

    Returns:
        A copy.
    """
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {clean(name) if isinstance(name, str) else name: clean(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(inner) for inner in value]
    return value


def combine(earlier: Update, later: Update) -> Update:
    """Make one update of two that follow each other and of which none was sent yet.

    Args:
        earlier: The first; mergeable.
        later: The second.

    Returns:
        An update with the id and the time of the second, which says what both say.
    """
    counts = dict(earlier.payload.get("itemsByType", {}))
    for type_, number in later.payload.get("itemsByType", {}).items():
        counts[type_] = counts.get(type_, 0) + number
    payload = {**earlier.payload, **later.payload}
    if counts:
        payload["itemsByType"] = counts
    return Update(later.update_id, payload, earlier.keys + later.keys)
