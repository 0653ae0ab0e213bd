"""What an outbox keeps."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Waiting(NamedTuple):
    """An update that waits: its place (later ones have larger numbers), its id, and its payload as JSON."""

    seq: int
    update_id: str
    text: str


@dataclass
class Position:
    """Where a crawl is, by all that its updates say, acknowledged or not. Its fields' names are those in the spool.

    Attributes:
        job_id: The job.
        worker: Which worker of it this is, if it has several.
        register: Whether the job may be registered by this crawl.
        attributes: With these.
        clock: The time of the newest update, in microseconds since 1970.
        last_processed_id: The cursor.
        state: The resume state.
        items_by_type: How many of each type.
        processed_items: The running total of this worker.
        completed: Whether the crawl came to its end, so that nothing of it is needed any more.
    """

    job_id: str
    worker: str | None = None
    register: bool = False
    attributes: dict[str, Any] | None = None
    clock: int = 0
    last_processed_id: str | None = None
    state: Any = None
    items_by_type: dict[str, int] = field(default_factory=dict)
    processed_items: int = 0
    completed: bool = False


class Contents(NamedTuple):
    """All that is in an outbox: its rows, and the place of the last update that it ever had."""

    last_place: int
    waiting: list[tuple[int, str, str]]
    counted: list[tuple[bytes]]
    refused: list[tuple[str, str, str, str]]
    position: Position | None
