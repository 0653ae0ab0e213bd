"""What a crawler can say of its job beside counts: stages, discoveries, errors, ends."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from tallymark.client.counting import Counting
from tallymark.client.failure import describe
from tallymark.client.pending import clean
from tallymark.client.tracking import as_cursor

#: The client gives these itself.
_OWN = frozenset({"taskId", "status", "timestamp", "updateId", "workerId", "itemsByType", "processedItems", "counting"})
_MOST_AREAS = 1000
_MOST_STATE_BYTES = 64 * 1024


class Saying(Counting):
    """The words of a job."""

    def stage(self, name: str, *, operation: str | None = None, data_type: str | None = None) -> None:
        """Say that a stage begins. What was counted before goes under the one before.

        Args:
            name: Its name.
            operation: discovery, branch_crawling, data_collection or finalization.
            data_type: The type of the items that come now.
        """
        self._announce({"stage": name, "operationType": operation, "currentDataType": data_type})

    def discovered(self, areas: Sequence[Mapping[str, Any]]) -> None:
        """Report areas; the server counts those that are new to the job.

        Args:
            areas: Each with `type` and `fullPath`, and whatever else the protocol has of areas.
        """
        with self._saying() as listening:
            if not listening:
                return
            for part in _parts([dict(area) for area in areas], self._max_bytes):
                self._seal_before()
                self._seal("new_areas_discovered", areas=clean(part))
            self._urgent = True
        self.wake()

    def credential(self, what: Literal["expiry", "renewal", "resumed"], **status: Any) -> None:  # noqa: ANN401 - any JSON
        """Report what became of the crawl's credential.

        Args:
            what: It expired, is waiting to be renewed, or works again.
            status: Members of `credentialStatus`: `type`, `severity`, `errorType`, `providerId`, `message`, ...

        Raises:
            ValueError: It is none of these.
        """
        if what not in {"expiry", "renewal", "resumed"}:
            raise ValueError("a credential is in expiry, renewal or resumed")
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._announce({"credentialStatus": {"timestamp": now, **status}}, f"credential_{what}")

    def checkpoint(self, state: Any, *, last_id: object = None) -> None:  # noqa: ANN401 - any JSON
        """Keep what the crawl needs to go on after a restart; it goes in one update with what was counted so far.

        Args:
            state: Any JSON up to 64 KB.
            last_id: The cursor.

        Raises:
            TypeError: The state is no JSON.
            ValueError: It is too large, or has a number that JSON does not.
        """
        last = as_cursor(last_id)
        kept = _as_state(state)
        with self._saying() as listening:
            if listening:
                self._give({"progress": kept, "lastProcessedId": last})
                self._position.state = kept
                if last is not None:
                    self._position.last_processed_id = last

    def report(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Give other fields, of the protocol or the crawler's own; the newest of each counts.

        Args:
            fields: By their names in the protocol.

        Raises:
            ValueError: Some of them the client gives itself.
        """
        if own := sorted(_OWN & fields.keys()):
            raise ValueError(f"the client gives these itself: {', '.join(own)}")
        with self._saying() as listening:
            if listening:
                self._give(fields)

    def event(self, name: str, details: Mapping[str, Any] | None = None) -> None:
        """Add an entry of the crawler's own to the timeline.

        Args:
            name: What happened.
            details: Any JSON object.
        """
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        with self._saying() as listening:
            if listening:
                self._seal_before(only_full=True)
                self._pending.add_event({"timestamp": now, "event": name, "details": dict(details or {})})

    def error(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report an error that does not end the job.

        Args:
            error: An exception or a message.
            context: What the crawl was at.
        """
        self._announce({"error": describe(error, context)})

    # --- ends -----------------------------------------------------------------------------------------------------

    def complete(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that all is done.

        Args:
            fields: More to say, such as `message`.
        """
        self._end("completed", **fields)

    def pause(self, state: Any = None, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl pauses, and end this run of it.

        Args:
            state: What it needs to go on.
            fields: More to say.
        """
        kept = _as_state(state)
        if kept is not None:
            with self._lock:
                self._position.state = kept
        self._end("paused", progress=kept, **fields)

    def cancel(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl was cancelled.

        Args:
            fields: More to say.
        """
        self._end("cancelled", **fields)

    def fail(self, error: BaseException | str, **context: Any) -> None:  # noqa: ANN401 - any JSON
        """Report that the crawl failed.

        Args:
            error: Why.
            context: What it was at; the cursor is added.
        """
        with self._lock:
            self._sample()
            last = {"lastProcessedId": self._position.last_processed_id} if self._position.last_processed_id else {}
        self._end("failed", error=describe(error, {**last, **context}))

    def _announce(self, fields: Mapping[str, Any], status: str = "processing") -> None:
        """Say something that people wait for: in an update of its own, at once."""
        with self._saying() as listening:
            if not listening:
                return
            self._seal_before()
            self._pending.give(fields)
            self._seal(status)
            self._urgent = True
        self.wake()

    def _end(self, status: str, **members: Any) -> None:  # noqa: ANN401
        raise NotImplementedError


def _as_state(state: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a resume state that the server takes, or raise: counts must not go where it could not follow."""
    kept = clean(state)
    if len(json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()) > _MOST_STATE_BYTES:
        raise ValueError("a resume state has at most 64 KB")
    return kept


def _parts(areas: list[dict[str, Any]], max_bytes: int) -> Iterator[list[dict[str, Any]]]:
    """Divide areas into parts that fit an update each."""
    part: list[dict[str, Any]] = []
    size = 0
    for area in areas:
        its_size = len(json.dumps(area, allow_nan=False))
        if part and (size + its_size > max_bytes or len(part) >= _MOST_AREAS):
            yield part
            part, size = [], 0
        part.append(area)
        size += its_size
    if part:
        yield part
