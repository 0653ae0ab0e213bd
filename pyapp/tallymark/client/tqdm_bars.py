"""`tqdm` and `trange` as the library of that name has them, which also report to the open job."""

import math
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from tallymark.client import opened
from tallymark.client.checks import check_type
from tallymark.client.job import Job
from tallymark.client.loops import Loop

try:
    from tqdm import std as _library
except ImportError as error:
    raise ImportError("tallymark.tqdm needs the library tqdm: pip install tqdm") from error

#: The library's word for an item of any kind, and ours.
_ANY, _ITEMS = "it", "items"
#: What is no item.
_BYTES = frozenset({"b", "byte", "bytes", "ib", "kb", "mb", "gb"})
#: The arguments by position are: iterable, desc, total, ...
_TOTAL = 2
_LONGEST_TYPE = 100


class tqdm(_library.tqdm):  # type: ignore[type-arg]  # noqa: N801 - the library's name
    """A bar of the library tqdm that also counts in a job what it shows.

    It has all arguments and methods of `tqdm.tqdm`, also for `async for`, and three arguments more, by name only:

        job: The job to report to. If None, the innermost job that is open in this context, else the only open job of
            this process. Where there is none, the bar is a plain one.
        type: The items' type. If None, the bar's `unit`, or else `items`; and a bar that shows bytes counts nothing.
        id: Returns the id of an item, which becomes the cursor; see `Job.track`.

    A loop over the bar is one of `Job.track`: an item counts when its turn is done, and the loop ends early when an
    operator asks to. `update(n)` counts at once; what goes back must be made up for before more counts.
    `disable=True` hides the bar, and counts all the same.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - those of the library
        job: Job | None = None,
        type: str | None = None,  # noqa: A002 - the protocol's word
        id: Callable[[Any], object] | None = None,  # noqa: A002
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Begin a bar; see the class, and the library."""
        if type is not None:
            check_type(type)
        self._type, self._id, self._given_unit = type, id, options.get("unit", _ANY)
        self._job = opened.innermost() if job is None else job
        self._is_named = job is not None
        #: While the library's own loop calls `update`, it only draws.
        self._is_looping = False
        #: For a bar that is moved by hand: what the job expects of it, and what is not counted yet or was taken back.
        self._loop: Loop | None = None
        self._rest = 0.0
        self._done = 0
        items = args[0] if args else options.get("iterable")
        if items is not None and len(args) <= _TOTAL and options.get("total") is None:
            # The library calls `len`, and its bars fail with it.
            options["total"] = _length(items)
        super().__init__(*args, **options)
        self._first = self.n
        if items is None:
            self._expect()

    def __iter__(self) -> Iterator[Any]:
        """Iterate, and count each item when its turn is done."""
        job = self._reports_to()
        if job is None:
            yield from super().__iter__()
            return
        self._is_looping = True
        try:
            yield from job.track(super().__iter__(), total=self._expected(), type=self._name, id=self._id, bar=False)
        finally:
            self._is_looping = False

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over asynchronous items in the same way."""
        job, items = self._reports_to(), self.iterable
        if job is not None:
            items = job.atrack(items, total=self._expected(), type=self._name, id=self._id, bar=False)
        self._is_looping = True
        try:
            async for item in items:
                yield item
                super().update()
        finally:
            self._is_looping = False
            self.close()

    def update(self, n: float | None = 1) -> bool | None:
        """Move the bar on by `n`, and count as many items."""
        moved: bool | None = super().update(n)
        if n and not self._is_looping and (job := self._reports_to()) is not None and (new := self._whole(n)):
            job.advance(self._name, new)
            self._done += new
            if self._loop is not None:
                self._loop.tracker.at = (self._done, None)
        return moved

    def reset(self, total: float | None = None) -> None:
        """Begin again at 0; what is done then counts in addition."""
        super().reset(total)
        self._first, self._rest, self._done = 0, 0.0, 0
        if self._loop is not None:
            self._forget()
            self._expect()

    def close(self) -> None:
        """End the bar."""
        super().close()
        self._forget()

    def _reports_to(self) -> Job | None:
        """Return the job; None if the bar is a plain one."""
        job = self._job
        if job is None or not (self._is_named or opened.is_open(job)):
            return None
        return None if self._type is None and self._unit.lower() in _BYTES else job

    @property
    def _unit(self) -> str:
        # A bar that is disabled has no unit of its own.
        return str(getattr(self, "unit", self._given_unit)).strip()

    @property
    def _name(self) -> str:
        return self._type or (self._unit[:_LONGEST_TYPE] if self._unit not in {"", _ANY} else _ITEMS)

    def _expected(self) -> int | None:
        """Return how many items the bar still has to show, as far as that is known."""
        try:
            return max(int(self.total) - int(self._first), 0) if self.total else None
        except (TypeError, ValueError, OverflowError):
            return None

    def _whole(self, n: float) -> int:
        """Return how many whole items an update counts."""
        if not self._rest:
            try:
                if (number := operator.index(n)) > 0:  # type: ignore[arg-type]  # what is no whole number raises
                    return number
            except TypeError:
                pass
        if not math.isfinite(n):
            return 0
        self._rest += n
        new = max(int(self._rest), 0)
        self._rest -= new
        return new

    def _expect(self) -> None:
        """Let the job expect the items of a bar that is moved by hand."""
        job, expected = self._reports_to(), self._expected()
        if job is not None and expected is not None:
            self._loop = Loop(job._run, None, expected, self._name, bar=False)  # noqa: SLF001 - of this package
            self._loop.tracker.is_only_shown = True

    def _forget(self) -> None:
        # The library may call it before the bar was made.
        loop, self._loop = getattr(self, "_loop", None), None
        if loop is not None:
            loop.end()


def _length(items: object) -> float | None:
    """Return the length of the items, None where they have none, infinity (unknown) where it cannot be told."""
    try:
        return len(items)  # type: ignore[arg-type]  # what has no length raises
    except (TypeError, AttributeError):
        return None
    except Exception:  # noqa: BLE001 - whatever somebody else's `__len__` raises
        return math.inf


def trange(*args: int, **options: Any) -> tqdm:  # noqa: ANN401 - those of the library
    """Return a bar over `range(*args)`."""
    return tqdm(range(*args), **options)
