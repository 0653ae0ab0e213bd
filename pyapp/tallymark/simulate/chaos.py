"""A bad network: it loses requests and answers, sends twice and delays. What it did is counted, by kind of mischief."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TypeVar

from tallymark.client.transport import PROGRESS_PATH, Answer, Transport, Unreachable

Answered = TypeVar("Answered")

#: How likely each kind of mischief is for one request.
_CHANCES = {"answer lost": 0.09, "request lost": 0.05, "twice": 0.05, "delayed": 0.08}
#: For old crawlers: those with the client keep their updates in order.
_LATE = 0.15
_REFUSALS = {400, 403, 413}
_LONGEST_DELAY = 0.2
_LONGEST_LATE = 4


class Mischief:
    """What a bad network does to one job's requests, and how often it did. Safe across threads."""

    def __init__(self, dice: Random, *, active: bool) -> None:
        """Do nothing while not active."""
        self._dice = dice
        self._lock = threading.Lock()
        self._sent: set[str] = set()
        self.active = active
        self.counts: Counter[str] = Counter()

    def note(self, kind: str, number: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.counts[kind] += number

    def note_updates(self, ids: list[str]) -> None:
        """Count updates that are sent, each once however often it is sent."""
        with self._lock:
            self.counts["updates"] += len(set(ids) - self._sent)
            self._sent.update(ids)

    def lateness(self) -> int:
        """Draw how many newer updates overtake one; mostly none."""
        with self._lock:
            return self._dice.randint(1, _LONGEST_LATE) if self.active and self._dice.random() < _LATE else 0

    def through(self, send: Callable[[], Answered], updates: int) -> Answered:
        """Send a request with so many updates over this network; raise Unreachable where there is no answer."""
        if not self.active:
            return send()
        with self._lock:
            drawn = {kind for kind, chance in _CHANCES.items() if self._dice.random() < chance}
            delay = self._dice.uniform(0.005, _LONGEST_DELAY)
        if "delayed" in drawn:
            self.note("delayed", updates)
            time.sleep(delay)
        if "request lost" in drawn:
            self.note("request lost", updates)
            raise Unreachable("the request was lost")
        answer = send()
        if "twice" in drawn:
            self.note("twice", updates)
            answer = send()
        if "answer lost" in drawn:
            self.note("answer lost", updates)
            raise Unreachable("the answer was lost")
        return answer


class ChaosTransport:
    """A transport of the client over such a network. It can be cut, as when the crawler's process is killed."""

    def __init__(self, inner: Transport, mischief: Mischief) -> None:
        """Wrap the transport that really sends."""
        self._inner = inner
        self._mischief = mischief
        self._cut = False
        self._lock = threading.Lock()
        self._under_way = 0

    def cut(self) -> None:
        """Send nothing from now on."""
        with self._lock:
            self._cut = True

    def post(self, path: str, body: str, *, timeout: float) -> Answer:
        """Send a request; see `Transport`."""
        updates = _updates(body) if path == PROGRESS_PATH else []
        if not self._cut:
            self._mischief.note_updates(updates)
        return self._mischief.through(lambda: self._send(path, body, timeout), len(updates))

    def wait_for_answers(self) -> None:
        """Wait until the server has answered all requests that it got."""
        while self._under_way:
            time.sleep(0.01)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _send(self, path: str, body: str, timeout: float) -> Answer:
        with self._lock:
            if self._cut:
                raise Unreachable("this crawler was killed")
            self._under_way += 1
        try:
            answer = self._inner.post(path, body, timeout=timeout)
        finally:
            with self._lock:
                self._under_way -= 1
        if path == PROGRESS_PATH and (refused := _refused(answer)):
            self._mischief.note("refused", refused)
        return answer


def _refused(answer: Answer) -> int:
    """Count the updates that the server refused for good; not those of a job that is not registered yet."""
    each = answer.body if isinstance(answer.body, list) else [answer.body]
    return sum(isinstance(one, dict) and one.get("status") in _REFUSALS for one in each)


def _updates(body: str) -> list[str]:
    """Read the ids of the updates of a request."""
    parsed = json.loads(body)
    return [str(update.get("updateId")) for update in (parsed if isinstance(parsed, list) else [parsed])]
