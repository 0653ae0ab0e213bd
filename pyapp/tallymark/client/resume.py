"""Where a crawl goes on, when its updates are sent, and the exception `DeliveryError`."""

from dataclasses import dataclass, field
from typing import Any, Literal


class DeliveryError(Exception):
    """Reports are neither on the server nor on disk. Call `flush` again, or give the client a spool."""


@dataclass(frozen=True)
class Resume:
    """Where a crawl goes on.

    Attributes:
        last_processed_id: The cursor: all items up to this one are done and counted.
        state: The newest resume state.
        items_by_type: The counts by type so far.
        processed_items: How many items were processed so far.
        done: The items beyond the cursor that are done and counted, if the crawl used `Job.item` or `Job.begin`.
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
    """When the updates of a job are sent, and how long its start and end wait: arguments of `ProgressClient`."""

    every_items: int
    every_seconds: float
    max_bytes: int
    start_timeout: float
    end_timeout: float
