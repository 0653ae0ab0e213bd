"""Signs of life: a job that has nothing to report shows that its crawler is alive, and receives commands."""

import logging
import weakref
from collections.abc import Iterable, Iterator

from tallymark.client.channel import Channel
from tallymark.client.transport import Answer, as_json, job_path

_log = logging.getLogger("tallymark.client")

#: At most so many signs a second are sent for all jobs. With many open jobs, each sends its signs less often.
_MOST_PER_SECOND = 20
#: At most so many are sent before the sender looks for updates again, which come first.
MOST_AT_ONCE = 10
#: Seconds that a sign of life may take: updates wait meanwhile.
TIMEOUT_SECONDS = 5.0
#: A delay of the reports of at least so many seconds is reported.
LONG_SECONDS = 30.0
#: The name of the event that reports it.
DELAYED = "delivery_delayed"
_OK = 200
_UNKNOWN = 404
_NOT_ALLOWED = 405


class Signs:
    """When the jobs of a client give their next signs of life. Used by the sender's thread only."""

    def __init__(self, every: float | None) -> None:
        """Nothing is due yet. `every`: after so many seconds without an answer of the server; None is never."""
        self.every = every
        self._heard: weakref.WeakKeyDictionary[Channel, float] = weakref.WeakKeyDictionary()
        self._next = 0.0

    def heard(self, channel: Channel, now: float) -> None:
        """Note that the server has answered a job."""
        self._heard[channel] = now

    def due(self, channels: Iterable[Channel], now: float) -> Iterator[Channel]:
        """Yield the channels whose job has been quiet for long enough."""
        if self.every is None or now < self._next:
            return
        quiet = [channel for channel in channels if _is_open(channel)]
        pause = max(self.every, len(quiet) / _MOST_PER_SECOND)
        self._next = now + pause
        for channel in quiet:
            due = self._heard.setdefault(channel, now) + pause
            if due <= now and not len(channel.outbox) and not channel.is_held:
                self._next = now
                yield channel
            else:
                self._next = min(self._next, max(due, now))

    def take(self, channel: Channel, answer: Answer) -> None:
        """Handle the answer to a sign of life: hand over the command, or stop where the server takes none."""
        body = answer.body if isinstance(answer.body, dict) else {}
        if answer.status == _OK and "command" in body:
            if channel.listen is not None:
                channel.listen("", {"status": "received", "command": body["command"]})
        elif answer.status == _NOT_ALLOWED or (answer.status == _UNKNOWN and body.get("error") != "Job not found"):
            self.every = None
            _log.info("the server is of an earlier release: while a job has nothing to report, it receives no commands")


class Delays:
    """The pauses that the server asks for with Retry-After.

    Meanwhile the crawl goes on, so the job is not waiting; only its reports wait. An event that is reported after the
    pause explains the gap in the timeline.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._asked: tuple[int, float] | None = None

    def note(self, answer: Answer, now: float) -> None:
        """Note that the server asked for a pause."""
        if answer.retry_after is not None:
            self._began = now if self._asked is None else self._began
            self._asked = (answer.status, answer.retry_after)

    def over(self, now: float) -> dict[str, float] | None:
        """Return what to report about the pause that is over; None where there was none, or a short one."""
        asked, self._asked = self._asked, None
        if asked is None or now - self._began < LONG_SECONDS:
            return None
        return {"seconds": round(now - self._began, 1), "status": asked[0], "retryAfter": asked[1]}


def address(channel: Channel) -> tuple[str, str]:
    """Return the path and the body of a channel's sign of life."""
    return job_path(channel.job_id, "alive"), as_json({"workerId": channel.worker} if channel.worker else {})


def _is_open(channel: Channel) -> bool:
    return channel.user is not None and channel.is_known and not (channel.is_over or channel.is_adopted)
