"""Updates that are sealed, and what was said since the last one: counts add up, of all else the newest counts."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

#: An update of the protocol has at most 200 types. Fewer leave room for what is said at the same moment.
_MOST_TYPES = 100
#: And at most 100 entries of a timeline.
_MOST_EVENTS = 50
#: About how many bytes a count takes beside its type's name.
_COUNT_BYTES = 20

#: Members of an update, each with its size in bytes: JSON for sure.
Fields = Mapping[str, tuple[Any, int]]


class Update(NamedTuple):
    """An update that is sealed: it has its id and its time, and stays as it is. `keys`: digests of what it counts."""

    update_id: str
    payload: dict[str, Any]
    keys: tuple[bytes, ...] = ()

    @property
    def mergeable(self) -> bool:
        """Whether nothing is lost when a later update takes its place and its counts."""
        return self.payload["status"] == "processing" and "timeline" not in self.payload


class Pending:
    """What was said since the last update."""

    def __init__(self, max_bytes: int) -> None:
        """Begin with nothing; it has to be sealed at about so many bytes."""
        self._max_bytes = max_bytes
        self.size = 0
        self.items = 0
        self.counts: dict[str, int] = {}
        self.fields: dict[str, tuple[Any, int]] = {}
        self.keys: list[bytes] = []

    def fresh(self) -> "Pending":
        """Return one that says nothing."""
        return Pending(self._max_bytes)

    def copy(self) -> "Pending":
        """Return one that says the same."""
        new = self.fresh()
        new.size, new.items = self.size, self.items
        new.counts, new.fields, new.keys = self.counts.copy(), self.fields.copy(), self.keys.copy()
        return new

    def count(self, type_: str, number: int, key: bytes | None = None) -> None:
        """Count items, of which a key may be remembered."""
        self.items += number
        if number:
            if type_ not in self.counts:
                self.size += len(type_) + _COUNT_BYTES
            self.counts[type_] = self.counts.get(type_, 0) + number
        if key is not None:
            self.keys.append(key)

    def give(self, fields: Fields) -> None:
        """Take the newest of fields."""
        for name, (_value, size) in fields.items():
            self.size += size - self.fields.get(name, (None, 0))[1]
        self.fields.update(fields)

    def add_event(self, event: dict[str, Any], size: int) -> None:
        """Take an entry of the crawler's own timeline."""
        before, its_size = self.fields.get("timeline", ((), 0))
        self.give({"timeline": ([*before, event], its_size + size)})

    @property
    def has_any(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.counts or self.fields or self.keys)

    @property
    def is_full(self) -> bool:
        """Whether it has to be sealed before it takes more."""
        return (
            self.size >= self._max_bytes
            or len(self.counts) >= _MOST_TYPES
            or ("timeline" in self.fields and len(self.fields["timeline"][0]) >= _MOST_EVENTS)
        )

    def members(self) -> dict[str, Any]:
        """Return the members of an update that say it."""
        members = {name: value for name, (value, _size) in self.fields.items()}
        return {**members, "itemsByType": dict(self.counts)} if self.counts else members


def prepare(fields: Mapping[str, Any]) -> Fields:
    """Return fields as they can be sent; None is nothing given. What is no JSON raises here, in the caller's thread."""
    given = {name: clean(value) for name, value in fields.items() if value is not None}
    return {name: (value, len(name) + len(json.dumps(value, allow_nan=False))) for name, value in given.items()}


def clean(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Copy JSON without what PostgreSQL cannot take and messages of errors have: NUL, halves of surrogate pairs."""
    if isinstance(value, str):
        if type(value) is str and value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {clean(name) if isinstance(name, str) else name: clean(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(inner) for inner in value]
    return value


def combine(earlier: Update, later: Update) -> Update:
    """Make one update, with the later id and time, of two that follow each other and of which none was sent yet."""
    counts = dict(earlier.payload.get("itemsByType", {}))
    for type_, number in later.payload.get("itemsByType", {}).items():
        counts[type_] = counts.get(type_, 0) + number
    payload = {**earlier.payload, **later.payload}
    if counts:
        payload["itemsByType"] = counts
    return Update(later.update_id, payload, earlier.keys + later.keys)
