"""Items that are begun and end in any order, and the iterator over what is left to do."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Self, TypeVar

from tallymark.client.checks import as_cursor
from tallymark.client.frontier import Node
from tallymark.client.updates import clean

if TYPE_CHECKING:
    from types import TracebackType

    from tallymark.client.job import Job
    from tallymark.client.recorder import Recorder

Item = TypeVar("Item")

#: How many items `todo` remembers while it looks for the last one done, to go back if that is not found.
_MOST_BUFFERED = 100_000
#: How many items may be handed out and not begun. Beyond that, the cursor no longer moves: that bounds the memory.
_MOST_HANDED_OUT = 200_000


class Begun:
    """An item in work, made by `Job.begin` and `Job.item`. May be ended by any thread or task.

    A context manager: leaving the block reports `done`. An exception leaves the item open: the cursor does not pass it,
    and it is done again after a restart.

    Attributes:
        cursor: The item's cursor, as text.
        was_done: Whether an earlier run has done the item. Then it need not be done again, and does not count again.
    """

    __slots__ = ("_is_over", "_job", "_key", "_node", "_type", "cursor", "was_done")

    def __init__(self, job: "Job", node: Node, type_: str, key: str | None) -> None:
        """See `Job.begin`."""
        self.cursor = node.cursor
        self.was_done = node.is_done
        self._job = job
        self._node = node
        self._type = type_
        self._key = key
        self._is_over = False

    def done(self, n: int = 1, *, processed: int | None = None) -> bool:
        """Report that the item is done: it counts, and the cursor may pass it.

        Args:
            n: How many items it counts as.
            processed: How many of them count in `processedItems`; see `Job.advance`.

        Returns:
            Whether it counts: False if it was ended before, if its key was counted before, and after the job's end.
        """
        if self._is_over:
            return False
        counts = self._job.finish(self._node, self._type, n, key=self._key, processed=processed)
        self._is_over = True
        return counts and not self.was_done

    def skip(self) -> None:
        """Report that the item needs no work, or is given up: it does not count, and is not done after a restart."""
        if not self._is_over:
            self._job.finish(self._node, self._type, 0, key=None, processed=0)
            self._is_over = True

    def failed(self) -> None:
        """Leave the item open: it is done again when it is begun again, in this run or after a restart.

        Until then the cursor does not pass it. To give an item up, call `skip`.
        """
        if not self._is_over:
            self._job.leave_open(self._node)
            self._is_over = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: "TracebackType | None"
    ) -> None:
        if kind is None:
            self.done()
        else:
            self.failed()


class Places:
    """The items that have a place in the line and are not in work.

    They were handed out by `todo`, have failed, or were done in an earlier run. The crawl's threads use it. Each step
    is one call in C, so nothing is locked.
    """

    def __init__(self, recorder: "Recorder", done: Iterable[Node]) -> None:
        """Start with the items after the cursor that earlier runs have done."""
        self._recorder = recorder
        self._open: dict[str, Node] = {}
        self._done = {node.cursor: node for node in done}
        self._is_over = False

    def take(self, cursor: str) -> Node:
        """Return the place of an item that is begun: the one that it has, or a new one at the end."""
        node = self._open.pop(cursor, None)
        if node is None and (node := self._done.get(cursor)) is None:
            node = Node(cursor)
            self._recorder.place(node)
        # What an earlier run has done gets its place from `todo` only: here it might stand before what is left to do.
        return node

    def leave_open(self, node: Node) -> None:
        """Keep the place of an item that has failed for when it is begun again."""
        node.has_failed = True
        self._open.setdefault(node.cursor, node)

    def hand_out(self, cursor: str) -> bool:
        """Give the next item of the crawl a place; return False if an earlier run has done it."""
        if (node := self._done.pop(cursor, None)) is not None:
            self._recorder.place(node)
            return False
        if cursor in self._open:
            return True
        if len(self._open) < _MOST_HANDED_OUT:
            node = Node(cursor)
            self._recorder.place(node)
            self._open[cursor] = node
        elif not self._is_over:
            self._is_over = True
            # It stays open for ever, so the cursor passes none of those that have no place.
            self._recorder.place(Node(cursor))
            self._recorder.warn(
                f"has handed out {_MOST_HANDED_OUT:,} items with todo() that are not begun: the cursor stays there."
                " Begin each item that todo() yields, and skip() what needs no work"
            )
        return True

    def forget(self, cursor: str) -> None:
        """Forget an item that the cursor of an earlier run has passed."""
        if (node := self._done.pop(cursor, None)) is not None:
            self._recorder.forget(node)

    def knows(self, cursor: str) -> bool:
        """Return whether an earlier run has done an item after its cursor, and `todo` has not passed it yet."""
        return cursor in self._done


def cursor_of(value: object) -> str:
    """Return the cursor of an item as it is sent, or raise ValueError."""
    text = as_cursor(value)
    if not text:
        raise ValueError("the cursor of an item must have 1 to 255 characters")
    return str(clean(text))


def left_to_do(
    items: Iterable[Item],
    places: Places,
    last: str | None,
    id_: Callable[[Item], object] | None,
    told: Callable[[], bool],
    warn: Callable[[str], None],
) -> Iterator[Item]:
    """Yield the items after the cursor, without those of them that are done; see `Job.todo`."""

    def cursor(item: Item) -> str:
        return cursor_of(item if id_ is None else id_(item))

    for item in items if last is None else _after(items, last, cursor, places, warn):
        if told():
            return
        if places.hand_out(cursor(item)):
            yield item


def _after(
    items: Iterable[Item],
    last: str,
    cursor: Callable[[Item], str],
    places: Places,
    warn: Callable[[str], None],
) -> Iterator[Item]:
    """Yield the items after the one with the cursor `last`; all items if there is none."""
    rest = iter(items)
    skipped: list[Item] | None = []
    met: list[str] = []
    for item in rest:
        its = cursor(item)
        if its == last:
            skipped = None
            for one in met:
                places.forget(one)
            yield from rest
            return
        if places.knows(its):
            met.append(its)
        if skipped is not None:
            skipped.append(item)
            if len(skipped) > _MOST_BUFFERED:
                skipped = None
    again: Iterable[Item] | None = skipped
    if again is None and iter(items) is not rest:
        again = items
    if again is None:
        raise LookupError(
            f"the last item that was done, {last!r}, is not among the items, and they can be read only once:"
            " give todo() a list, or drop what is done yourself (job.resume)"
        )
    warn(
        f"goes on at the beginning: the last item that was done, {last!r}, is not among the items."
        " Only items that are known to be done are left out; the others count again"
    )
    yield from again
