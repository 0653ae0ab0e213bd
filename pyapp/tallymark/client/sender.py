"""The threads of a client. They put what is due into the outboxes and deliver the updates that wait there.

The updates of a job are delivered in order: one is sent only after the server has answered the one before it, or in the
same batch, which is one transaction. So the server always has all updates up to some point, and count and cursor agree.
If an answer is lost, the updates are sent again, and their ids keep them from counting twice.
"""

import threading
import time
from itertools import islice
from random import SystemRandom
from typing import Any

from tallymark.client.alive import DELAYED, MOST_AT_ONCE, TIMEOUT_SECONDS, Delays, Signs, address
from tallymark.client.answers import (
    REFUSALS,
    TOO_LARGE,
    TOO_MANY,
    UNAUTHORIZED,
    Pauses,
    answers_to_each,
    error_of,
)
from tallymark.client.bell import Bell
from tallymark.client.channel import Channel
from tallymark.client.channels import Channels
from tallymark.client.leftovers import TIMEOUT_SECONDS as LEFTOVERS_TIMEOUT_SECONDS, Leftovers
from tallymark.client.log import log as _log
from tallymark.client.process import current
from tallymark.client.questions import Questions, wait_for
from tallymark.client.records import Waiting
from tallymark.client.spool import Spool
from tallymark.client.transport import JOBS_PATH, PROGRESS_PATH, Answer, Transport, Unreachable, as_json
from tallymark.client.updates import updates_wait

#: The protocol allows 1000 updates and 1 MiB in a batch.
_BATCH_UPDATES = 200
_BATCH_BYTES = 256 * 1024
#: Seconds that the sender waits for the other threads when the client closes.
_JOIN_SECONDS = 5.0
#: Answers from here on are failures of the server, or of a proxy in front of it.
_SERVER_ERROR = 500


class Sender:
    """Serves channels. Its threads start with the first channel."""

    def __init__(
        self,
        transport: Transport,
        spool: Spool,
        *,
        retries: int,
        timeout: float,
        tick: float,
        alive_every: float | None = None,
    ) -> None:
        """Start nothing yet. `tick`: seconds between looks at what is due; `timeout`: seconds for a request.

        `alive_every`: after how many seconds without a report a job gives a sign of life; None is never.
        """
        self._transport = transport
        self._spool = spool
        self._timeout = timeout
        self._tick = tick
        self.channels = Channels(spool)
        self._questions = Questions()
        # Held while the thread is started. Reentrant, as a signal handler may start a job.
        self._lock = threading.RLock()
        self._due = Bell()
        self._wake = Bell()
        self._pid = current.pid
        self._thread: threading.Thread | None = None
        self._keepers: list[threading.Thread] = []
        self._pauses = Pauses(retries)
        self._signs = Signs(alive_every)
        self._delays = Delays()
        self._leftovers = Leftovers(spool, self.channels)
        #: Whether `close` has waited for the thread in vain.
        self._is_late = False
        #: How many further requests have one update each, to find the one that spoils a batch.
        self._singly = 0

    def add(self, channel: Channel) -> None:
        """Serve a channel. If the server was away, one more attempt is made now."""
        # Before the thread has the channel: what the server then asks for is obeyed.
        self._pauses = self._pauses.tried_again(time.monotonic())
        self.channels.add(channel)
        with self._lock:
            # After an interrupt between the two lines the thread was made but never started.
            if self._thread is None or self._thread.ident is None:
                self._thread = threading.Thread(target=self._run, name="tallymark-client", daemon=True)
                self._thread.start()
        self.wake()

    def runs(self, channel: Channel) -> bool:
        """Return whether a channel is served and the thread that serves it was started."""
        return channel in self.channels.served() and self._thread is not None and self._thread.ident is not None

    @property
    def is_away(self) -> bool:
        """Whether the server does not answer, or does not accept the token."""
        return self._pauses.is_away

    def waiting(self) -> int:
        """Return how many updates wait."""
        return sum(len(channel.outbox) for channel in self.channels.served())

    def give_up(self) -> None:
        """Count the server as away, because a job waited in vain."""
        self._pauses = self._pauses.given_up()

    def is_sender(self) -> bool:
        """Return whether the caller runs in the thread that delivers, which cannot wait for itself."""
        return threading.current_thread() is self._thread

    def is_keeper(self) -> bool:
        """Return whether the caller runs in one of the threads that fill the outboxes."""
        return threading.current_thread() in self._keepers

    def wake(self) -> None:
        """Look now for reports that are due and for updates that wait."""
        self._due.ring()
        self._wake.ring()

    def ask(self, path: str, body: str) -> Answer | None:
        """Ask the server something and wait for the answer; return None if there is none."""
        if self.is_sender():
            return self._post(path, body, self._timeout)
        question = self._questions.ask(path, body)
        self.wake()
        return wait_for(question, lambda: self._thread is None or not self._thread.is_alive())

    def _answer_questions(self) -> None:
        if time.monotonic() >= self._pauses.until:
            self._questions.answer(lambda path, body: self._post(path, body, self._timeout))
        elif self.is_away:
            self._questions.drop()

    def close(self, timeout: float) -> None:
        """Deliver what can be delivered within `timeout` seconds, then end."""
        self.channels.close()
        self.wake()
        if self._thread is not None and not self.is_sender() and not self.is_keeper():
            self._thread.join(timeout if not self.is_away else min(timeout, 1.0))
            if self._thread.is_alive():
                # It waits for an answer, up to the timeout, or the server takes updates. It ends with the process.
                self._is_late = True
                return
        self._transport.close()

    # --- the threads ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """The sender thread: deliver updates until the client closes."""
        if threading.current_thread() is not self._thread:
            return
        for target, name in ((self._keep, "tallymark-keeper"), (self._fold, "tallymark-folder")):
            self._keepers.append(threading.Thread(target=target, name=name, daemon=True))
            self._keepers[-1].start()
        while self._is_here():
            # Wait while there is nothing to send, and during the pause after a failure.
            pause = self._pauses.until - time.monotonic()
            self._wake.wait(min(self._tick, pause) if self._has_any() else self._tick)
            closing = self.channels.is_closing
            if closing:
                self._join_keepers()
            try:
                self._answer_questions()
                if time.monotonic() >= self._pauses.until:
                    self._leftovers.sweep(time.monotonic())
                    self._deliver()
                    self._give_signs()
                self.channels.let_go(self._is_done)
            except Exception:  # noqa: BLE001 - it is logged, and the delivery is tried again
                # A defect in the client must not end the reporting silently.
                _log.exception("a defect in the delivery; the updates wait and are sent again")
                self._fail("a defect in the client", self._pauses.failed(time.monotonic()))
            if closing and (self.is_away or self._has_waited or not self._has_any()):
                for channel in self.channels.served():
                    channel.close()
                return

    def _keep(self) -> None:
        """The keeper thread: put what is due into the outboxes, also while the sender waits for the server."""
        while self._is_here():
            closing = self.channels.is_closing
            if not closing:
                self._due.wait(self._tick)
            for channel in self.channels.served():
                try:
                    if (source := channel.source) is not None:
                        source.write(time.monotonic())
                except Exception:  # noqa: BLE001 - it is logged, and tried again; other jobs go on
                    _log.exception("job %s: the outbox cannot be written, reports stay in memory", channel.job_id)
            self._wake.ring()
            if closing:
                return

    def _fold(self) -> None:
        """The folder thread: bound the memory of the logs, also while the keeper waits for the disk."""
        while self._is_here() and not self.channels.is_closing:
            time.sleep(self._tick)
            for channel in self.channels.served():
                if (source := channel.source) is not None:
                    source.shorten_log()

    def _is_here(self) -> bool:
        """Return False in a child, whose only thread is this one if a log handler or a transport forked in it."""
        return current.pid == self._pid

    @property
    def _has_waited(self) -> bool:
        """Whether nobody waits any more for a server that does not take updates, and all of them are on the disk."""
        if not self._is_late or not self._pauses.failures:
            return False
        return all(channel.outbox.is_durable for channel in self.channels.served())

    def _join_keepers(self) -> None:
        for thread in self._keepers:
            thread.join(_JOIN_SECONDS)

    # --- delivery -----------------------------------------------------------------------------------------------------

    def _has_any(self) -> bool:
        return any(len(channel.outbox) and not channel.is_held for channel in self.channels.served())

    def _deliver(self) -> None:
        """Send one request with the first waiting updates of all channels."""
        batch: list[tuple[Channel, list[Waiting]]] = []
        left = 1 if self._singly else _BATCH_UPDATES
        size = _BATCH_BYTES
        jobs = set()
        channels = self.channels.served()
        # Without the crawl's own random numbers: it may have seeded them.
        SystemRandom().shuffle(channels)
        for channel in channels:
            # One channel per job: only the last `started` of a job in a batch is answered with where to go on.
            if left <= 0 or size <= 0 or channel.job_id in jobs or channel.is_held:
                continue
            # Looked at once: an update may come at any moment, and must not be sent before its job is registered.
            if not len(channel.outbox):
                continue
            if channel.must_register and not self._register(channel):
                return
            if rows := channel.head(left, size):
                batch.append((channel, rows))
                jobs.add(channel.job_id)
                left -= len(rows)
                size -= sum(len(row.text) for row in rows)
        if batch:
            self._send(batch)

    def _send(self, batch: list[tuple[Channel, list[Waiting]]]) -> None:
        texts = [row.text for _, rows in batch for row in rows]
        body = texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
        adopted = any(channel.is_adopted for channel, _ in batch)
        answer = self._post(
            PROGRESS_PATH, body, min(self._timeout, LEFTOVERS_TIMEOUT_SECONDS) if adopted else self._timeout
        )
        if answer is None:
            return
        answers = answers_to_each(answer, len(texts))
        if answers is None:
            self._judge(answer, len(texts))
            return
        self._singly = max(self._singly - 1, 0)
        known = True
        for channel, rows in batch:
            mine, answers = answers[: len(rows)], answers[len(rows) :]
            self._signs.heard(channel, time.monotonic())
            if not channel.take(rows, mine):
                known = self._register(channel) and known
        if known:
            self._succeed()

    def _give_signs(self) -> None:
        """Give the signs of life that are due, as long as no update waits."""
        due = islice(self._signs.due(self.channels.served(), time.monotonic()), MOST_AT_ONCE)
        for channel in () if self.channels.is_closing else due:
            if self._has_any() or time.monotonic() < self._pauses.until:
                return
            path, body = address(channel)
            answer = self._post(path, body, min(self._timeout, TIMEOUT_SECONDS))
            if answer is None:
                return
            if answer.status >= _SERVER_ERROR or answer.status in {UNAUTHORIZED, TOO_MANY}:
                self._judge(answer, 1)
                return
            self._signs.heard(channel, time.monotonic())
            self._succeed()
            self._signs.take(channel, answer)

    def _succeed(self) -> None:
        if self.is_away:
            _log.info("the server takes updates again")
        self._pauses = self._pauses.succeeded()
        if (told := self._delays.over(time.monotonic())) is not None:
            for channel in self.channels.served():
                if channel.source is not None and not channel.is_over:
                    channel.source.tell(DELAYED, told)

    def _post(self, path: str, body: str, timeout: float) -> Answer | None:
        try:
            return self._transport.post(path, body, timeout=timeout)
        except Unreachable as error:
            self._fail(str(error), self._pauses.failed(time.monotonic()))
            return None

    def _register(self, channel: Channel) -> bool:
        """Register the job of a channel; return False if its updates must wait."""
        if channel.was_registered:
            why = f"the server registered the job {channel.job_id!r}, but does not know it"
            self._fail(why, self._pauses.failed(time.monotonic()))
            return False
        body: dict[str, Any] = {"taskId": channel.job_id}
        if channel.attributes:
            body["attributes"] = channel.attributes
        if channel.parent is not None:
            body["parent"] = channel.parent
        answer = self._post(JOBS_PATH, as_json(body), self._timeout)
        if answer is None:
            return False
        if isinstance(answer.body, dict) and answer.body.get("id") == channel.job_id:
            channel.is_known = channel.was_registered = True
            return True
        if channel.must_register and answer.status < _SERVER_ERROR and answer.status != UNAUTHORIZED:
            # The job may be known all the same, or only updates are let through: the answer to the first one tells.
            channel.is_known = True
            return True
        if answer.status in REFUSALS:
            _log.warning("job %s cannot be registered, so its updates will be refused: %s", channel.job_id, answer.body)
            channel.register = False
            channel.was_registered = True
            return True
        self._judge(answer, 1)
        return False

    def _judge(self, answer: Answer, updates: int) -> None:
        """Handle an answer that does not say what became of each update."""
        error, now = error_of(answer), time.monotonic()
        if answer.status in REFUSALS and (error or answer.status == TOO_LARGE) and updates > 1:
            self._singly = updates
            return
        why = f"HTTP {answer.status}{f' {error}' if error else ''}"
        if answer.status == UNAUTHORIZED:
            self._fail(f"{why}: the server does not accept the token", self._pauses.unauthorized(now))
        else:
            self._delays.note(answer, now)
            self._fail(why, self._pauses.failed(now, answer.retry_after))

    def _fail(self, why: str, pauses: Pauses) -> None:
        was_away, self._pauses = self.is_away, pauses
        _log.debug(
            "attempt %d failed, the next one is in %.1f s: %s", pauses.failures, pauses.until - time.monotonic(), why
        )
        if self.is_away and not was_away:
            # A job whose disk has failed keeps its updates in memory.
            are_safe = all(channel.outbox.is_durable for channel in self.channels.served() if len(channel.outbox))
            where = self._spool.directory if are_safe and self._spool.directory else "memory"
            _log.warning("the server does not take updates; %s in %s: %s", updates_wait(self.waiting()), where, why)
        for channel in self.channels.served():
            channel.nudge()

    def _is_done(self, channel: Channel) -> bool:
        """Return whether an unused channel can be closed: no update waits, or none can be delivered now."""
        if not len(channel.outbox):
            return True
        if channel.is_adopted and (
            self._pauses.failures or self._leftovers.is_held_for_long(channel, time.monotonic())
        ):
            return True
        return channel.outbox.is_durable and (self.is_away or channel.is_held)
