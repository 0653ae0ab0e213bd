"""Where a crawl goes on if its items end in any order: the last item before which all are done, and later ones.

The items are in a line, in the order in which they were begun. The front passes an item when it and all before it are
done; the cursor is that of the last item that was passed. Items beyond the front that are done are told to the server:
they are in `doneBeyond`, as far as the protocol has room, and count with that update. An item that finds no room is
held: it counts when there is room, or when the front passes it. So counts, cursor and `doneBeyond` always agree, and
are in one update.

A fold works on a copy of the `Frontier`. The copies share the line and what is known about an item. These only grow, by
steps that may be taken twice, so a fold that failed changes nothing.
"""

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy
from typing import NamedTuple

#: The protocol allows 1000 items and 64 KB in `doneBeyond`.
MOST_TOLD = 1000
MOST_BYTES = 64 * 1024
#: How long an item may be open, while others are done beyond it, before a warning names it.
_LONG_SECONDS = 300.0

#: What an item counts: as in `progress.Count`, and the digest of its key if only this client remembers that.
Worth = tuple[str, int, int | None, bytes | None]


class Node:
    """An item in the line. `place`: its number there; `worth`: the counts that it adds when it is told or passed."""

    __slots__ = ("_size", "cursor", "has_failed", "is_done", "is_named", "place", "since", "worth")

    def __init__(self, cursor: str, *, is_done: bool = False) -> None:
        self.cursor = cursor
        self.place: int | None = None
        self.is_done = is_done
        self.worth: Worth | None = None
        self.has_failed = self.is_named = False
        self.since = time.monotonic()
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes its cursor takes in an update."""
        if not self._size:
            self._size = len(json.dumps(self.cursor)) + 2
        return self._size

    def is_before(self, place: int) -> bool:
        """Whether it stands in the line before this place."""
        return self.place is not None and self.place < place


class Step(NamedTuple):
    """A step of `settle`: the cursor, if the front has moved, and what has to be counted."""

    cursor: str | None
    worth: Worth | None


class Frontier:
    """The line, its front, and which items are told. `has_changed`: whether the server does not know that yet."""

    def __init__(self) -> None:
        """Start with an empty line."""
        self.has_changed = False
        #: Items done beyond the front that are told, each with its size in bytes.
        self.told: dict[Node, int] = {}
        #: Whether the server keeps `doneBeyond`. Otherwise all that is done beyond the front is held.
        self.may_tell = True
        self._front = 0
        self._told_bytes = 0
        #: Items that are done since the line was settled.
        self.fresh: list[Node] = []
        self._line: deque[Node] = deque()
        #: Done, not told and not passed. An item that is missing here counts when the front passes it.
        self._held: deque[Node] = deque()

    def copy(self) -> "Frontier":
        """Return a copy that may be changed. The line loses what has been passed."""
        new = copy(self)
        new.told, new.fresh = self.told.copy(), self.fresh.copy()
        line = self._line
        while line and line[0].is_before(self._front):
            line.popleft()
        return new

    def carry(self, cursors: Iterable[str]) -> None:
        """Take over what earlier runs have done beyond the front. The items get their places when they are met."""
        for cursor in cursors:
            self._tell(Node(cursor, is_done=True))

    def place(self, node: Node) -> None:
        """Put an item at the end of the line."""
        last = self._line[-1].place if self._line else None
        end = self._front if last is None else last + 1
        if not node.is_before(end):
            node.place = end
            self._line.append(node)

    def finish(self, node: Node, worth: Worth | None) -> None:
        """Note that an item is done. `worth`: None if it counts nothing, or was counted elsewhere."""
        if node.worth is None and not node.is_done:
            node.worth = worth
        node.is_done = True
        self.fresh.append(node)

    def forget(self, node: Node) -> None:
        """Take an item out of those that are told: the front has passed it in an earlier run."""
        self._told_bytes -= self.told.pop(node, 0)
        self.has_changed = True

    def settle(self) -> Iterator[Step]:
        """Move the front, and tell what is done beyond it. After each step, all counted items are told or passed."""
        for node in self._line:
            if node.is_before(self._front):
                continue
            if not node.is_done:
                break
            worth = None if node in self.told else node.worth
            self._told_bytes -= self.told.pop(node, 0)
            self._front = (node.place or 0) + 1
            self.has_changed = True
            yield Step(node.cursor, worth)
        while self._held and self._has_room(self._held[0]):
            yield from self._tell_next(self._held.popleft())
        fresh, self.fresh = self.fresh, []
        for node in fresh:
            if self._is_news(node) and (self._held or not self._has_room(node)):
                self._held.append(node)
            else:
                yield from self._tell_next(node)

    def give_up(self) -> Iterator[Step]:
        """Count what is held, because the crawl is complete. It cannot be told, so the front passes the whole line."""
        rest = [node for node in self._line if node.is_done and self._is_news(node)]
        if not rest:
            return
        for node in rest:
            yield Step(None, node.worth)
        # What earlier runs have done may come later in the list.
        self.told = {node: size for node, size in self.told.items() if node.place is None}
        self._told_bytes = sum(self.told.values())
        last = self._line[-1]
        self._front = (last.place or 0) + 1
        self.has_changed = True
        yield Step(last.cursor, None)

    @property
    def is_idle(self) -> bool:
        """Whether `settle` has nothing to do."""
        return not (self._line or self.fresh)

    @property
    def held(self) -> int:
        """How many items are held, at most."""
        return len(self._held)

    def blocking(self) -> Node | None:
        """Return the item at the front, once, if it holds others up or is open for long."""
        node = next((node for node in self._line if not node.is_before(self._front)), None)
        if node is None or node.is_done or node.is_named or not (self.told or self._held):
            return None
        if not (self._held and self.may_tell) and time.monotonic() - node.since < _LONG_SECONDS:
            return None
        node.is_named = True
        return node

    def _is_news(self, node: Node) -> bool:
        return node not in self.told and not node.is_before(self._front)

    def _has_room(self, node: Node) -> bool:
        return self.may_tell and len(self.told) < MOST_TOLD and self._told_bytes + node.size <= MOST_BYTES

    def _tell_next(self, node: Node) -> Iterator[Step]:
        if self._is_news(node):
            self._tell(node)
            yield Step(None, node.worth)

    def _tell(self, node: Node) -> None:
        self.told[node] = node.size
        self._told_bytes += node.size
        self.has_changed = True
