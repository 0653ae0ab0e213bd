"""Where a crawl goes on, when its updates go out, and the one error."""

from dataclasses import dataclass, field
from typing import Any, Literal


class DeliveryError(Exception):
    """What was said is neither on the server nor on disk."""


@dataclass(frozen=True)
class Resume:
    """Where a crawl goes on.

    Attributes:
        last_processed_id: The cursor: all up to it is counted.
        state: The resume state that was given last.
        items_by_type: What was counted before.
        processed_items: How many in all.
        source: Who says so: the server; the spool, where the server was away; nothing, where neither knew.
    """

    last_processed_id: str | None = None
    state: Any = None
    items_by_type: dict[str, int] = field(default_factory=dict)
    processed_items: int = 0
    source: Literal["server", "spool", "nothing"] = "nothing"


@dataclass(frozen=True, kw_only=True)
class Habits:
    """When a job's updates go out, and how long its start and its end wait: the client's arguments of these names."""

    every_items: int
    every_seconds: float
    max_bytes: int
    start_timeout: float
    end_timeout: float
