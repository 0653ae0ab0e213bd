"""The records that an outbox keeps."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Waiting(NamedTuple):
    """An update that waits: its number in the outbox (later ones are larger), its id, and its payload as JSON."""

    seq: int
    update_id: str
    text: str


@dataclass
class Position:
    """Where a crawl is after all its updates, acknowledged or not. The spool stores it under these names.

    Attributes:
        register: Whether the client may register the job; `attributes`: with these; `parent`: as part of this one.
        clock: The time of the newest update, in microseconds since 1970.
        processed_items: The running total of this worker.
        done_beyond: The items after the cursor that are done.
        completed: Whether the crawl completed, so that its file is not needed any more.
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
    done_beyond: list[str] = field(default_factory=list)
    parent: str | None = None


class Contents(NamedTuple):
    """All rows of an outbox. `last_place`: the largest number that any of its updates has had."""

    last_place: int
    waiting: list[tuple[int, str, str]]
    counted: list[tuple[bytes]]
    refused: list[tuple[str, str, str, str]]
    position: Position | None
    sent: list[tuple[bytes]]
