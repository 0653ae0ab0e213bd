"""Where a crawl goes on, when its updates are sent, and the exception `DeliveryError`."""

from dataclasses import dataclass, field
from typing import Any, Literal


class DeliveryError(Exception):
    """Reports are neither on the server nor on disk. Call `flush` again, or give the client a spool."""


@dataclass(frozen=True)
class FlushResult:
    """Where the reports are that were made before a `flush`. True only if the server has all of them.

    Attributes:
        on_server: Whether the server has everything but what was `refused`.
        on_disk: Whether the spool has what the server has not answered yet: it survives the process.
        refused: What the server refused since the `flush` before, each as a text; see also `Job.refused`.
    """

    on_server: bool
    on_disk: bool = False
    refused: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.on_server and not self.refused


@dataclass(frozen=True)
class Resume:
    """Where a crawl goes on.

    Attributes:
        last_processed_id: The cursor: all items up to this one are done and counted.
        state: The newest resume state.
        items_by_type: The counts by type so far.
        processed_items: How many items were processed so far.
        done: The items after the cursor that are done and counted, if the crawl used `Job.item` or `Job.begin`.
        source: Where this is from: the server; the spool, if the server was away; or nothing, if neither knew.
    """

    last_processed_id: str | None = None
    state: Any = None
    items_by_type: dict[str, int] = field(default_factory=dict)
    processed_items: int = 0
    source: Literal["server", "spool", "nothing"] = "nothing"
    done: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How a job reports: arguments of `ProgressClient`."""

    every_items: int
    every_seconds: float
    max_bytes: int
    start_timeout: float
    end_timeout: float
    heeds_signals: bool = True
