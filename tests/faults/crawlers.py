"""Ideal crawlers: they repeat an update, with growing pauses, until an answer says what became of it."""

import http.client
import json
import threading
import time
from collections import Counter
from typing import Any

from .updates import Notebook, Post, Sent

TOKEN = "crawler-token"
#: The mean pause between two requests of a crawler, and how long it waits for an answer.
THINK_SECONDS = 0.06
ANSWER_SECONDS = 2.0
#: Pauses between attempts grow from the first to the second. Retry-After is not obeyed in full: more attempts meet
#: more faults.
_PAUSE_SECONDS = (0.05, 1.0)
#: Once all faults are over, an update without an answer after this time is lost.
PATIENCE_SECONDS = 60.0
#: The share that gives up after the first attempt, like a crawler that ends.
_QUITTERS = 0.02


class Tally:
    """Counts of what all crawlers experienced, and surprises that should not happen."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.surprises: list[str] = []
        #: For how many seconds a crawler had to repeat an update, at most, until it was answered.
        self.longest_wait = 0.0

    def count(self, name: str, by: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.counts[name] += by

    def waited(self, seconds: float) -> None:
        """Note how long an update was repeated until it was answered."""
        with self._lock:
            self.longest_wait = max(self.longest_wait, seconds)

    def surprise(self, what: str) -> None:
        """Note a broken promise."""
        with self._lock:
            self.surprises.append(what[:2000])


class Crawler(threading.Thread):
    """One worker of many jobs, on one connection that is opened again when it breaks.

    Attributes:
        think_seconds: The mean pause between two requests.
        answer_seconds: How long it waits for an answer.
    """

    think_seconds = THINK_SECONDS
    answer_seconds = ANSWER_SECONDS

    def __init__(self, number: int, port: int, tally: Tally, *, seed: int, obeys: bool = False) -> None:
        """Prepare a crawler.

        Args:
            number: Its number.
            port: The port of the endpoint or of a proxy before it.
            tally: Counts what happens.
            seed: The seed of its random numbers.
            obeys: Whether it pauses for as long as Retry-After says.
        """
        super().__init__(name=f"worker {number}", daemon=True)
        self.notebook = Notebook(self.name, seed)
        self.random = self.notebook.random
        self.tally = tally
        self._end = threading.Event()
        self._patience = PATIENCE_SECONDS
        self._obeys = obeys
        self._told_to_pause = 0.0
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=self.answer_seconds)

    def end(self, patience: float) -> None:
        """Let it finish its current request, and start no other.

        Args:
            patience: For how many seconds it repeats that request.
        """
        self._patience = patience
        self._end.set()

    def run(self) -> None:
        """Report until told to end."""
        while not self._end.wait(self.random.expovariate(1 / self.think_seconds)):
            try:
                self._deliver(self.notebook.next_post())
            except Exception as error:
                self.tally.surprise(f"{self.name} failed: {error!r}")
                raise
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _deliver(self, post: Post) -> None:
        gives_up = self.random.random() < _QUITTERS and all(sent.seq is None for sent in post.updates)
        pause, longest = _PAUSE_SECONDS
        give_up_at: float | None = None
        for sent in post.updates:
            sent.tries = 0 if sent.seq is None else sent.tries
        began = time.monotonic()
        while not self._try(post):
            if gives_up:
                self.tally.count("given up", len(post.updates))
                return
            if self._end.is_set():
                give_up_at = give_up_at or time.monotonic() + self._patience
                if time.monotonic() > give_up_at:
                    self.tally.surprise(f"never answered: {post.body[:300]!r}")
                    return
            time.sleep(self._told_to_pause or pause * self.random.uniform(0.5, 1.5))
            pause = min(pause * 2, longest)
            self.tally.count("retries")
        self.tally.waited(time.monotonic() - began)

    def _try(self, post: Post) -> bool:
        """Send it once; return whether the outcome is known."""
        for sent in set(post.updates):
            sent.tries += sent.seq is None
        self.tally.count("requests")
        answer = self.send(post)
        if answer is not None:
            self._judge(post, *answer)
        return answer is not None

    def send(self, post: Post) -> tuple[int, bytes] | None:
        """Send a request once, and return the status and the answer; None where it must be sent again."""
        self._told_to_pause = 0.0
        try:
            self._connection.request(
                "POST",
                "/api/internal/jobs/progress",
                post.body,
                {"Authorization": f"Bearer {TOKEN}", **post.headers},
            )
            response = self._connection.getresponse()
            body = response.read()
            if "Content-Length" not in response.headers:
                # http.client accepts headers that are cut off in the middle.
                raise http.client.IncompleteRead(body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self.tally.count(f"no answer: {type(error).__name__}")
            return None
        self.tally.count(f"answer {response.status}")
        if response.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            if not (response.headers.get("Retry-After") or "").isdigit():
                self.tally.surprise(f"503 without Retry-After: {body!r}")
            self.tally.count(f"503 {json.loads(body)['error']}")
            self._told_to_pause = float(response.headers["Retry-After"]) if self._obeys else 0.0
            return None
        return response.status, body

    def _judge(self, post: Post, status: int, body: bytes) -> None:
        answer = json.loads(body)
        if not post.batch:
            self._judge_one(post.updates[0], status, answer)
        elif status != http.HTTPStatus.OK or len(answer) != len(post.updates):
            self.tally.surprise(f"a batch of {len(post.updates)} was answered {status}: {body!r}")
        else:
            self.tally.count("batches")
            for sent, result in zip(post.updates, answer, strict=True):
                taken = result["status"] == "received"
                self._judge_one(sent, http.HTTPStatus.OK if taken else result["status"], result)

    def _judge_one(self, sent: Sent, status: int, answer: Any) -> None:  # noqa: ANN401 - whatever came
        if status != (sent.refusal or http.HTTPStatus.OK):
            self.tally.surprise(f"{sent.refusal or 200} was due, not {status} {answer}, for {sent.payload}")
        elif sent.refusal:
            self.tally.count("refused")
            sent.refused = True
        elif sent.seq is None:
            self.tally.count("acknowledged")
            if answer["duplicate"]:
                # The update had taken effect before, unknown to the crawler; or the endpoint itself had tried twice.
                self.tally.count("duplicates: it had landed unheard" if sent.tries > 1 else "duplicates: a first try")
            sent.seq = answer["seq"]
            self.notebook.keep(sent)
        else:
            self.tally.count("duplicates: sent again for no reason")
            if not (answer["duplicate"] and answer["seq"] == sent.seq):
                self.tally.surprise(f"{sent.payload} was acknowledged as {sent.seq}, and again: {answer}")
