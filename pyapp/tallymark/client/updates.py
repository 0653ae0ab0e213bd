"""Updates that are sealed, and the reports since the last one."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

#: The protocol allows this many types in an update.
MOST_TYPES = 200
#: This lower limit leaves room for reports that come while it is sealed.
_MOST_TYPES = 100
#: The protocol allows 100 timeline entries in an update.
_MOST_EVENTS = 50
#: The protocol allows 1000 keys of a type in an update, each of 1024 characters.
MOST_KEYS = 1000
LONGEST_KEY = 1024
#: Updates with keys are not combined beyond that.
_MOST_KEY_CHARACTERS = 64 * 1024
#: The protocol allows 1000 members in an update, and one call gives at most 400.
_MOST_FIELDS = 400
#: Objects of counts that the server sums up, as itemsByType. Each is in an update of its own: none may replace another.
INCREMENTS = frozenset({"foundByType", "failedByType", "skippedByType"})
#: An object of totals, of which the newest of each type counts: a later one adds to an earlier one, type by type.
TOTALS = "totalsByType"
#: The approximate size of a count without its type's name.
_COUNT_BYTES = 20

#: Members of an update, each with its size in bytes. All values are JSON.
Fields = Mapping[str, tuple[Any, int]]


class Update(NamedTuple):
    """A sealed update: its id, time and content never change.

    `keys`: digests of the keys that it counts; `sent`: of those that it sends, so that the server counts them.
    """

    update_id: str
    payload: dict[str, Any]
    keys: tuple[bytes, ...] = ()
    sent: tuple[bytes, ...] = ()

    @property
    def mergeable(self) -> bool:
        """Whether it can be combined with a later update without losing anything but detail."""
        apart = self.payload.keys() & {"timeline", *INCREMENTS}
        return self.payload["status"] == "processing" and not apart


class Pending:
    """The reports since the last update: counts are summed; of every other field the newest value wins."""

    def __init__(self, max_bytes: int) -> None:
        """Start empty. `max_bytes`: the approximate size at which an update has to be sealed."""
        self._max_bytes = max_bytes
        self.size = 0
        self.items = 0
        self.counts: dict[str, int] = {}
        self.fields: dict[str, tuple[Any, int]] = {}
        self.keys: list[bytes] = []
        self.sent: list[bytes] = []
        #: The keys to send, by type.
        self.item_keys: dict[str, list[str]] = {}
        #: The largest number of keys of a type.
        self.most_keys = 0

    def fresh(self) -> "Pending":
        """Return an empty one with the same limit."""
        return Pending(self._max_bytes)

    def copy(self) -> "Pending":
        """Return an independent copy."""
        new = self.fresh()
        new.size, new.items = self.size, self.items
        new.counts, new.fields, new.keys = self.counts.copy(), self.fields.copy(), self.keys.copy()
        if self.item_keys:
            new.sent, new.most_keys = self.sent.copy(), self.most_keys
            new.item_keys = {type_: keys.copy() for type_, keys in self.item_keys.items()}
        return new

    def count(self, type_: str, number: int, key: bytes | None = None) -> None:
        """Count items, and remember the digest of their key if they have one."""
        self.items += number
        if number:
            if type_ not in self.counts:
                self.size += len(type_) + _COUNT_BYTES
            self.counts[type_] = self.counts.get(type_, 0) + number
        if key is not None:
            self.keys.append(key)

    def count_key(self, type_: str, key: bytes, text: str) -> None:
        """Count an item by its key: its digest, and the text that is sent."""
        self.items += 1
        keys = self.item_keys.setdefault(type_, [])
        keys.append(text)
        self.sent.append(key)
        self.size += len(json.dumps(text)) + 2 + (len(type_) + _COUNT_BYTES if len(keys) == 1 else 0)
        self.most_keys = max(self.most_keys, len(keys))

    def without_clashes(self) -> "Pending | None":
        """Take out and return the keys of those types that are also counted by a number: no update may have both."""
        types = self.item_keys.keys() & self.counts.keys()
        if not types:
            return None
        first = self.fresh()
        first.item_keys = {type_: self.item_keys.pop(type_) for type_ in sorted(types)}
        # Both updates are stored together, so it does not matter which of them has the digests.
        first.sent, self.sent = self.sent, []
        return first

    def has_room_for(self, fields: Fields) -> bool:
        """Whether an update may have these fields beside those that are here."""
        return len(_totals(self.fields).keys() | _totals(fields).keys()) <= MOST_TYPES

    def give(self, fields: Fields) -> None:
        """Take fields; they replace earlier values, totals those of the same types."""
        if (before := _totals(self.fields)) and TOTALS in fields:
            value, size = fields[TOTALS]
            fields = {**fields, TOTALS: ({**before, **value}, size + self.fields[TOTALS][1])}
        for name, (_value, size) in fields.items():
            self.size += size - self.fields.get(name, (None, 0))[1]
        self.fields.update(fields)

    def add_event(self, event: dict[str, Any], size: int) -> None:
        """Add an entry of the crawler's own timeline."""
        before, its_size = self.fields.get("timeline", ((), 0))
        self.give({"timeline": ([*before, event], its_size + size)})

    @property
    def has_any(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.counts or self.fields or self.keys or self.item_keys)

    @property
    def is_full(self) -> bool:
        """Whether it has to be sealed before it takes more."""
        return (
            self.size >= self._max_bytes
            or len(self.counts) + len(self.item_keys) >= _MOST_TYPES
            or self.most_keys >= MOST_KEYS
            or len(self.fields) >= _MOST_FIELDS
            or ("timeline" in self.fields and len(self.fields["timeline"][0]) >= _MOST_EVENTS)
        )

    def members(self) -> dict[str, Any]:
        """Return the members of the update."""
        members = {name: value for name, (value, _size) in self.fields.items()}
        if self.item_keys:
            members["itemKeys"] = self.item_keys
        return {**members, "itemsByType": dict(self.counts)} if self.counts else members


def _totals(fields: Fields) -> dict[str, int]:
    value, _size = fields.get(TOTALS, ({}, 0))
    return value if isinstance(value, dict) else {}


def prepare(fields: Mapping[str, Any]) -> Fields:
    """Return fields as they can be sent, without None. What is not JSON raises here, in the caller's thread."""
    given = {clean(name): clean(value) for name, value in fields.items() if value is not None}
    return {name: (value, len(name) + len(json.dumps(value, allow_nan=False))) for name, value in given.items()}


def clean(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Copy JSON without NUL and unpaired surrogates: error messages have them, and PostgreSQL cannot store them."""
    if isinstance(value, str):
        if type(value) is str and value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {clean(name) if isinstance(name, str) else name: clean(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(inner) for inner in value]
    return value


def updates_wait(number: int) -> str:
    """Return "1 update waits" or "2 updates wait", for messages."""
    return "1 update waits" if number == 1 else f"{number} updates wait"


def combine(earlier: Update, later: Update) -> Update | None:
    """Combine two successive updates, neither of which was sent, into one with the id and time of the later one.

    Returns None if one update cannot have both.
    """
    counts = dict(earlier.payload.get("itemsByType", {}))
    for type_, number in later.payload.get("itemsByType", {}).items():
        counts[type_] = counts.get(type_, 0) + number
    keys: dict[str, list[str]] = dict(earlier.payload.get("itemKeys", {}))
    for type_, more in later.payload.get("itemKeys", {}).items():
        keys[type_] = [*keys.get(type_, ()), *more]
    payload = {**earlier.payload, **later.payload}
    if counts:
        payload["itemsByType"] = counts
    if keys:
        payload["itemKeys"] = keys
    totals = {**earlier.payload.get(TOTALS, {}), **later.payload.get(TOTALS, {})}
    if totals:
        payload[TOTALS] = totals
    if (
        len(totals) > MOST_TYPES
        or len(counts.keys() | keys.keys()) > MOST_TYPES
        or counts.keys() & keys.keys()
        or sum(len(key) for each in keys.values() for key in each) > _MOST_KEY_CHARACTERS
        or any(len(each) > MOST_KEYS for each in keys.values())
    ):
        return None
    return Update(later.update_id, payload, earlier.keys + later.keys, earlier.sent + later.sent)
