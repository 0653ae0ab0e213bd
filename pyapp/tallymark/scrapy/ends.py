"""How a job ends, by the reason for which Scrapy closed its spider."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.settings import BaseSettings

    from tallymark.client import Job

_log = logging.getLogger(__name__)

End = Literal["completed", "paused", "failed", "cancelled"]
_ENDS = ("completed", "paused", "failed", "cancelled")

#: All other reasons are limits of the author's, or his own: the crawl can go on later.
_DEFAULT: Mapping[str, End] = {
    "finished": "completed",
    "cancelled": "cancelled",
    "closespider_errorcount": "failed",
    "closespider_pagecount_no_item": "failed",
    "closespider_timeout_no_item": "failed",
    "memusage_exceeded": "failed",
    "start_error": "failed",
}
#: Reasons that need no message, because the job's status says the same.
_PLAIN = frozenset({"finished", "paused", "cancelled", "shutdown"})
#: What Scrapy does not explain in the reason itself.
_EXPLAINED = {
    "closespider_errorcount": "too many errors",
    "closespider_pagecount_no_item": "too many pages without an item",
    "closespider_timeout_no_item": "no item for too long",
    "memusage_exceeded": "the process used too much memory",
    "start_error": "not all start requests could be made",
}
#: The protocol allows 1,000 characters in a message, and 64 KB in a resume state.
_LONGEST_REASON = 900
_MOST_STATE_BYTES = 60_000


@dataclass(frozen=True)
class Ending:
    """How a spider ended, for which reason, and with which state."""

    end: End
    reason: str
    state: object


class Ends:
    """Knows the end for each reason."""

    def __init__(self, settings: "BaseSettings") -> None:
        """Read the setting `TALLYMARK_ENDS`: reasons, and the ends that they are to have.

        Raises:
            ValueError: It names an end that there is not.
        """
        own = settings.getdict("TALLYMARK_ENDS")
        if wrong := sorted({str(end) for end in own.values()} - set(_ENDS)):
            raise ValueError(f"TALLYMARK_ENDS has no such end: {', '.join(wrong)}; the ends are {', '.join(_ENDS)}")
        self._ends: Mapping[str, End] = {**_DEFAULT, **cast("dict[str, End]", own)}

    def of(self, reason: str) -> End:
        """Return how a job ends whose spider was closed for this reason."""
        return self._ends.get(reason, "paused")


def report_end(job: "Job", ending: Ending) -> None:
    """Report how a crawl ended, and wait until the report is on the server or in the spool."""
    end, reason = ending.end, ending.reason[:_LONGEST_REASON]
    why = f"The spider was closed: {reason}" + (f" ({_EXPLAINED[reason]})" if reason in _EXPLAINED else "")
    fields = {} if reason in _PLAIN else {"message": why}
    if end == "completed":
        job.complete(**fields)
    elif end == "cancelled":
        job.cancel(**fields)
    elif end == "failed":
        job.fail(why, reason=reason)
    else:
        try:
            job.pause(ending.state, **fields)
        except (TypeError, ValueError):
            _log.exception("the spider's state cannot be reported; the one before it stays")
            job.pause(**fields)


def reason_of(reason: object) -> str:
    """Return the reason for which a spider was closed as text; a spider may give any object."""
    try:
        return str(reason).replace("\0", "").encode("utf-8", "replace").decode() or "no reason given"
    except Exception:  # noqa: BLE001 - it is the user's object
        return type(reason).__name__


def state_of(spider: "Spider") -> object:
    """Return the state that Scrapy keeps in the JOBDIR, if it is JSON. With None, the newest checkpoint stays."""
    try:
        state = getattr(spider, "state", None)
        return state if state and len(json.dumps(state, allow_nan=False)) <= _MOST_STATE_BYTES else None
    except Exception:  # noqa: BLE001 - it is the user's object; the end is reported in any case
        return None
