"""What became of each update: counted and logged after the answer was made, and noted in the database.

The stored function decides, and its answer goes back unparsed; here body and answer are parsed after that. Refused
updates and duplicates are added up, and a thread notes them in the database every few seconds, and once more when the
process ends. No request waits for that, and nothing here can make one fail.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.util import Finalize
from threading import Lock, Thread
from typing import Any, NamedTuple

import orjson

from tallymark.functions.errors import TallymarkError, Unavailable
from tallymark.functions.http import NOTE_INTAKE
from tallymark.web.db.pool import BEFORE_POOLS_CLOSE, Database
from tallymark.web.telemetry.counters import counters

_logger = logging.getLogger("tallymark.web.intake")

_NOTE_SECONDS = 5.0
#: How long the end of a process waits for notes that are being written.
_LAST_NOTES_SECONDS = 5.0
#: How often the same unusual thing is logged.
_LOG_AGAIN_SECONDS = 60.0
#: How many kinds of notes are kept while the database is away; more are dropped.
_MAX_NOTES = 10_000
#: An update that is accepted later than this after it happened counts as late: it was in a spool, or a clock is slow.
_LATE_SECONDS = 60.0
_MILESTONES = {"started", "completed", "paused", "cancelled"}
_CREDENTIALS = ("credential_expiry", "credential_renewal", "credential_resumed")
_DEFAULT_STATUS = "processing"
#: How many types of items a line of the log names.
_MOST_TYPES = 20

Json = dict[str, Any]


class _Kind(NamedTuple):
    """What notes are added up by; `code` is the HTTP status of a refusal."""

    job: str
    outcome: str
    code: str


class UpdateLog:
    """Counts, logs and notes what became of updates."""

    def __init__(self, database: Database) -> None:
        """Take the database that notes are written to."""
        self._database = database
        self._lock = Lock()
        self._times: Counter[_Kind] = Counter()
        self._last: dict[_Kind, tuple[str, str]] = {}
        self._noting = False
        self._will_end = False
        # Held while notes are written, so that a process does not end meanwhile.
        self._writing = Lock()
        self._logged_at: dict[str, float] = {}

    def accepted(self, body: bytes, answer: bytes, took: float) -> None:
        """Record a request that the database answered in `took` seconds: an update, or a batch of them."""
        counters.merge_seconds.observe(took)
        try:
            came, went = _parsed(body), _parsed(answer)
            pairs = list(zip(came, went, strict=True)) if isinstance(came, list) else [(came, went)]
            for update, outcome in pairs:
                self._record(update, outcome)
        except (ValueError, TypeError, AttributeError, RecursionError):
            # PostgreSQL reads some JSON that Python does not, such as very deep nesting.
            _logger.debug("an update could not be parsed for the log")

    def refused(self, body: bytes, error: TallymarkError) -> None:
        """Record a request that was refused as a whole."""
        if not 400 <= error.http_status < 500:  # noqa: PLR2004 - the caller's errors; others are no refusals
            return
        try:
            came = _parsed(body)
        except (ValueError, RecursionError):
            came = None
        self._refuse(_job_of(came), str(int(error.http_status)), str(error), error.details)

    def _record(self, update: Json, outcome: Json) -> None:
        if outcome.get("status") != "received":
            self._refuse(
                _job_of(update),
                str(outcome.get("status", "")),
                str(outcome.get("error", "")),
                outcome.get("details") or [],
            )
            return
        # An accepted status is one of the few that exist, so it can be a label.
        status = str(update.get("status") or _DEFAULT_STATUS).lower()
        job = str(update["taskId"])
        duplicate = outcome.get("duplicate") is True
        counters.count_update(status, "duplicate" if duplicate else "accepted")
        if duplicate:
            self._note(_Kind(job, "duplicate", ""), "")
        else:
            self._measure(update)
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug("update received", extra={"job": job, "status": status, "payload": update})
        if not duplicate:
            _log_milestone(job, status, update, outcome)
        if (warnings := outcome.get("warnings")) and self._may_log(f"{job} {warnings[0][:20]}"):
            _logger.warning("update taken with a warning: %s", "; ".join(warnings), extra={"job": job})

    def _measure(self, update: Json) -> None:
        error = update.get("error")
        if error:
            kind = error.get("type") if isinstance(error, Mapping) else None
            counters.count_error(str(kind or ""))
        happened = _instant(update.get("timestamp"))
        if happened is not None and time.time() - happened > _LATE_SECONDS:
            counters.late_updates.inc()

    def _refuse(self, job: str | None, code: str, problem: str, details: list[Any]) -> None:
        counters.count_update("", "refused", code)
        problems = [detail for detail in details if isinstance(detail, Mapping)]
        if self._may_log(f"{job} {code}"):
            # The fields, never their values.
            fields = sorted({str(detail.get("field", "")) for detail in problems})
            _logger.warning("update refused", extra={"job": job, "status": code, "problems": fields})
        if job:
            why = "; ".join(f"{detail.get('field') or 'the body'} {detail.get('problem')}" for detail in problems)
            self._note(_Kind(job, "refused", code), why or problem)

    def _may_log(self, what: str) -> bool:
        """Return whether something unusual may be logged: the same thing once a minute."""
        now = time.monotonic()
        with self._lock:
            if self._logged_at.get(what, 0.0) > now - _LOG_AGAIN_SECONDS:
                return False
            if len(self._logged_at) >= _MAX_NOTES:
                self._logged_at.clear()
            self._logged_at[what] = now
        return True

    def _note(self, kind: _Kind, problem: str) -> None:
        at = datetime.now(UTC).isoformat()
        with self._lock:
            if kind in self._times or len(self._times) < _MAX_NOTES:
                self._times[kind] += 1
                self._last[kind] = (at, _as_text(problem[:500]))
            if self._noting:
                return
            self._noting = True
            will_end, self._will_end = self._will_end, True
        # Not earlier: neither this nor a thread survives the fork of a worker.
        if not will_end:
            # Unlike `atexit`, this runs in granian's workers, which multiprocessing has forked.
            Finalize(None, self._note_last, exitpriority=BEFORE_POOLS_CLOSE)
        Thread(target=self._note_on, name="tallymark-intake", daemon=True).start()

    def _note_on(self) -> None:
        """Note what there is every few seconds, until there is nothing."""
        while True:
            time.sleep(_NOTE_SECONDS)
            with self._lock:
                if not self._times:
                    self._noting = False
                    return
            with self._writing:
                self._note_now()

    def _note_last(self) -> None:
        """Note what there is when the process ends."""
        if not self._writing.acquire(timeout=_LAST_NOTES_SECONDS):
            return  # the database does not answer
        # A pool that must open again cannot: Python starts no threads any more.
        with suppress(RuntimeError):
            self._note_now()
        self._writing.release()
        if lost := self._times.total():
            _logger.warning("%d refusals and duplicates could not be noted before the end", lost)

    def _note_now(self) -> None:
        with self._lock:
            times, last = self._times, self._last
            self._times, self._last = Counter(), {}
        if not times:
            return
        try:
            self._database.call(NOTE_INTAKE, _entries(times, last))
        except Unavailable as error:
            _logger.debug("refusals and duplicates could not be noted yet: %s", error)
            with self._lock:
                for kind, count in times.items():
                    self._times[kind] += count
                    self._last.setdefault(kind, last[kind])
        except TallymarkError as error:
            # Another attempt would fail, too, and block all later notes.
            _logger.warning("refusals and duplicates could not be noted: %s", error)


def _parsed(text: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Parse JSON with the faster of two readers; the other one also takes half a surrogate pair."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def _job_of(update: object) -> str | None:
    job = update.get("taskId") if isinstance(update, Mapping) else None
    return _as_text(job[:255]) if isinstance(job, str) else None


def _as_text(given: str) -> str:
    """Remove what JSON may contain and the database cannot store: NUL, and unpaired surrogates."""
    return given.replace("\0", "").encode(errors="ignore").decode()


def _log_milestone(job: str, status: str, update: Json, outcome: Json) -> None:
    """Log the statuses that operators want to know."""
    if status == "failed":
        error = update.get("error")
        kind = error.get("type") if isinstance(error, Mapping) else None
        _logger.error("job failed", extra={"job": job, "error": str(kind or "")[:100]})
    elif status in _CREDENTIALS:
        _logger.warning("credentials of a job: %s", status, extra={"job": job})
    elif status in _MILESTONES:
        _logger.info("job %s", status, extra={"job": job, "counts": _counts(outcome.get("finalCounts"))})


def _counts(final: Json | None) -> Json | None:
    """Return the counts of a job that has ended, by type where there are types; a line of the log has a limit."""
    if final is None:
        return None
    types = sorted(final["itemsByType"].items(), key=lambda item: (-item[1], item[0]))
    if not types:
        return None if final["processedItems"] is None else {"processedItems": final["processedItems"]}
    more = {"more types": len(types) - _MOST_TYPES} if len(types) > _MOST_TYPES else {}
    return {**dict(types[:_MOST_TYPES]), **more}


def _instant(given: object) -> float | None:
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _entries(times: Counter[_Kind], last: Mapping[_Kind, tuple[str, str]]) -> bytes:
    entries = [
        {"jobId": kind.job, "outcome": kind.outcome, "code": kind.code, "times": count}
        | {"at": last[kind][0], "problem": last[kind][1] or None}
        for kind, count in times.items()
    ]
    return json.dumps(entries).encode()
