"""A run of a job, from its start to its end: what is behind the methods of `Job`.

From its start on it has a `Recorder`, to which all reports go; a `Listener`, which hears what the server answers; and
the `Places` of the items in work. Its start and its end are reported once, whatever interrupts them.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from tallymark.client import opened
from tallymark.client.begun import Places
from tallymark.client.checks import parts_of
from tallymark.client.failure import describe, is_interrupt, name_of_interrupt
from tallymark.client.fields import Given, sort
from tallymark.client.fitting import fit_error
from tallymark.client.listener import Listener
from tallymark.client.log import log as _log
from tallymark.client.process import InheritedError, current
from tallymark.client.progress import Progress, Reply
from tallymark.client.recorder import Recorder
from tallymark.client.records import Position
from tallymark.client.resume import Habits
from tallymark.client.sender import Sender
from tallymark.client.signals import guard
from tallymark.client.updates import Fields, prepare, updates_wait

if TYPE_CHECKING:
    from tallymark.client.job import Job

#: How a run ends whose block was left after `should_stop` was true, by the operator's command.
_OBEYED = {"pause": "paused", "cancel": "cancelled"}


class Run:
    """The run of a job that was not started yet, runs or has ended.

    Attributes:
        job_id: The job's id.
        sender: Delivers its updates.
        habits: How it reports.
        recorder: Where its reports go; None before the start.
        told_refusals: How many refusals `flush` has returned.
    """

    def __init__(
        self, sender: Sender, habits: Habits, position: Position, on_command: Callable[[str], object] | None
    ) -> None:
        """Start nothing yet; see `ProgressClient.job`."""
        self.sender = sender
        self.habits = habits
        self.recorder: Recorder | None = None
        self.told_refusals = 0
        self.job_id = position.job_id
        self._position = position
        self._on_command = on_command
        self._pid = current.pid
        #: The job, from the start to the end of the run. Not longer: what the run holds is freed with its job.
        self._job: Job | None = None
        self._listener: Listener | None = None
        self._places: Places | None = None
        self._saw_stop = False
        #: The signal that asked this process to end.
        self._signal: str | None = None

    # --- what it is now -----------------------------------------------------------------------------------------------

    @property
    def is_inherited(self) -> bool:
        """Whether this process is the child of the one that made the job."""
        return self._pid != current.pid

    def check_process(self) -> None:
        """Raise an error in the child of a fork."""
        if self._pid != current.pid:
            raise InheritedError(self._pid)

    def started(self) -> Recorder:
        """Return the recorder, or raise a RuntimeError if the job was not started."""
        self.check_process()
        if self.recorder is None:
            raise RuntimeError(f"job {self.job_id!r} was not started: use `with client.job(...) as job`, or start()")
        return self.recorder

    def places(self) -> Places:
        """Return the places of the items in work."""
        self.started()
        if self._places is None:
            raise RuntimeError(f"job {self.job_id!r} is being started")
        return self._places

    @property
    def command(self) -> str | None:
        """See `Job.command`."""
        self.check_process()
        return self._listener.command if self._listener is not None else None

    def is_told_to_stop(self) -> bool:
        """See `Job.should_stop`."""
        if self._pid != current.pid:
            raise InheritedError(self._pid)
        if self._listener is not None and self._listener.asks_to_stop:
            self._saw_stop = True
            return True
        return False

    def cannot_answer(self) -> bool:
        """Whether it is in vain to wait for the server."""
        return self.sender.is_away or self.sender.is_sender()

    # --- its start ----------------------------------------------------------------------------------------------------

    def start(self, job: "Job") -> None:
        """Report `started` and tell the job where to go on; see `Job.start`."""
        self.check_process()
        if self.recorder is not None:
            raise RuntimeError(f"job {self.job_id!r} was started before: make another one with client.job()")
        self._job = job
        try:
            if self.habits.heeds_signals:
                guard.install()
            channel = self.sender.channels.open(self.job_id, self._position.worker, job)
            self.recorder = Recorder.resume(channel, self._position, self.habits)
            self._listener = listener = Listener(self.job_id, self.recorder, self._on_command)
            channel.listen = listener.take_answer
            self.told_refusals = channel.refusals.number
            self.sender.add(channel)
            opened.add(job)
            opened.enter(job)
            until = time.monotonic() + self.habits.start_timeout
            while not (listener.is_answered or self.cannot_answer() or self._signal) and time.monotonic() < until:
                listener.answered.wait(0.05)
            if not listener.is_answered and not self.sender.is_sender():
                self.sender.give_up()
            self.say_and_wait(Progress.begin)
            progress = self.recorder.progress
            job.resume = progress.resume
            self._places = Places(self.recorder, progress.frontier.told)
            if job.resume.source == "nothing":
                _log.warning(
                    "job %s starts at the beginning: the server did not say where to go on, the spool does not know",
                    self.job_id,
                )
            guard.raise_waiting()
        except BaseException as error:
            self.break_off(error)
            raise

    def break_off(self, error: BaseException) -> None:
        """Report the end of a run whose start or end was interrupted, or make the job free for another start."""
        recorder = self.recorder
        if recorder is None or not self.sender.runs(recorder.channel):
            self.recorder = self._listener = None
            if self._job is not None:
                self.sender.channels.give_back(self.job_id, self._position.worker, self._job)
        elif not recorder.has_ended:
            # The server may have `started` already. It is not waited for.
            status, fields, described = self._end_of(error)
            self._say_end(recorder, status, prepare(fields), None, described)
        self._close()

    def _close(self) -> None:
        """Note that this run is over."""
        if self._job is not None:
            opened.remove(self._job)
            self._job = None
        guard.settle()

    # --- its end ------------------------------------------------------------------------------------------------------

    def end(
        self, status: str, fields: Mapping[str, Any], state: object = None, error: Mapping[str, Any] | None = None
    ) -> None:
        """Report how the job ended, once, and wait for the server, `end_timeout` at most."""
        recorder = self.started()
        if recorder.has_ended:
            self._close()
            return
        # What the server would refuse raises an exception here, before anything has changed.
        given = sort(fields)
        self.give(given._replace(fields={}))
        seq = self._say_end(recorder, status, given.fields, state, error)
        channel = recorder.channel
        delivered = channel.wait(seq, self.habits.end_timeout, lambda: self.cannot_answer() or channel.is_held)
        if not delivered and not channel.is_held and not self.sender.is_sender():
            self.sender.give_up()
        if not delivered and not channel.outbox.is_durable:
            _log.error(
                "job %s: %s in memory only; give the client a spool", self.job_id, updates_wait(len(channel.outbox))
            )
        elif not delivered:
            _log.warning("job %s: %s in %s", self.job_id, updates_wait(len(channel.outbox)), channel.outbox.path)
        self._close()

    def _say_end(
        self, recorder: Recorder, status: str, fields: Fields, state: object, error: Mapping[str, Any] | None
    ) -> int:
        """Report the end, and wait until it is in the outbox; return its number there."""
        reply: Reply = SimpleQueue()
        recorder.say(Progress.end, status, fields, state, error, reply=reply)
        recorder.has_ended = True
        for tracker in reversed(recorder.trackers()):
            tracker.end()
        return self._wait(recorder, reply)

    def leave(self, error: BaseException | None) -> None:
        """Report how the job's block was left. `error`: the exception that left it."""
        try:
            if error is None and self._signal is not None:
                self.end("paused", {"message": f"interrupted ({self._signal})"})
            elif error is None:
                command = self.command if self._saw_stop else None
                self.end(_OBEYED.get(command or "", "completed"), {})
            else:
                status, fields, described = self._end_of(error)
                self.end(status, fields, error=described)
        except Exception:  # noqa: BLE001 - the crawl is not broken by a report, and its own error is not hidden
            _log.exception("job %s: its end could not be reported", self.job_id)
        except BaseException as interrupt:
            self.break_off(interrupt)
            raise
        guard.raise_waiting()

    def _end_of(self, error: BaseException) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
        """Return how a run that an exception ended has to be reported: status, fields and error."""
        if is_interrupt(error):
            return "paused", {"message": f"interrupted ({self._signal or name_of_interrupt(error)})"}, None
        return "failed", {}, fit_error(describe(error, {}))

    def put_away(self) -> None:
        """Put all reports into the outbox and accept no more, because the client closes."""
        if self._signal is not None:
            self.end_interrupted(self._signal)
        # Also after an end: an interrupt may have come before that was in the outbox.
        if self.recorder is not None and not self.recorder.channel.is_over:
            reply: Reply = SimpleQueue()
            self.recorder.say(Progress.put_away, reply=reply)
            self.recorder.has_ended = True
            self._wait(self.recorder, reply)
        self._close()

    def ask_to_stop(self, name: str) -> None:
        """Note that a signal asks this process to end. Called in its handler."""
        self._signal = name
        if self._listener is not None:
            self._listener.must_stop = self._listener.asks_to_stop = True

    def end_interrupted(self, why: str) -> None:
        """End the job as paused, if it was started."""
        if self.recorder is not None:
            self.end("paused", {"message": f"interrupted ({why})"})

    # --- reports ------------------------------------------------------------------------------------------------------

    def say(self, method: Callable[..., None], *args: object) -> None:
        """Append a report; log a warning if the job has ended."""
        recorder = self.started()
        if recorder.has_ended:
            recorder.warn_of_loss()
        else:
            recorder.say(method, *args)

    def say_and_wait(self, method: Callable[..., None]) -> int:
        """Append a report, wait until it is in the outbox, and return the number of the last update there."""
        recorder = self.started()
        reply: Reply = SimpleQueue()
        recorder.say(method, reply=reply)
        return self._wait(recorder, reply)

    def give(self, given: Given) -> None:
        """Report fields that were checked, each on its way; see `fields`."""
        if given == Given({}):
            return
        parts = list(parts_of(given.areas, self.habits.max_bytes)) if given.areas else []
        self.say(Progress.take, given, parts)
        if parts:
            self.sender.wake()

    def announce(self, fields: Fields, status: str = "processing") -> None:
        """Report something that people wait for: it is sent at once."""
        self.say(Progress.announce, fields, status)
        self.sender.wake()

    def _wait(self, recorder: Recorder, reply: Reply) -> int:
        """Wait for the keeper's reply: it comes when the report is in the outbox."""
        self.sender.wake()
        # A log handler that runs in the keeper's thread cannot wait for the keeper. After `close` none replies.
        while not self.sender.is_keeper() and recorder.channel.serves(recorder) and not self.sender.channels.is_closing:
            with suppress(Empty):
                result = reply.get(timeout=0.5)
                if isinstance(result, BaseException):
                    raise result
                return result
        return recorder.seq
