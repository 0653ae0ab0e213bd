"""Handles the server's answers to a job's updates: where to go on, commands, warnings."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from tallymark.client.bell import Bell
from tallymark.client.log import log as _log
from tallymark.client.mending import first_id
from tallymark.client.process import current, end_child
from tallymark.client.progress import Progress
from tallymark.client.recorder import Recorder
from tallymark.client.resume import Resume

_STOPS = ("pause", "cancel")
#: How many different warnings are remembered, so that each is logged once as a warning.
_MOST_WARNINGS = 100


class Listener:
    """Receives the answers, in the sender's thread.

    `command`: the operator's command in the last acknowledgement; `asks_to_stop`: whether it is pause or cancel, or
    whether the crawl `must_stop` because a signal asks the process to end.
    `is_answered`: whether the start was answered; `answered` rings then.
    """

    def __init__(self, job_id: str, recorder: Recorder, on_command: Callable[[str], object] | None) -> None:
        self.command: str | None = None
        self.asks_to_stop = self.must_stop = self.is_answered = False
        self.answered = Bell()
        self._job_id = job_id
        self._recorder = recorder
        self._on_command = on_command
        self._warned: set[str] = set()

    def take_answer(self, update_id: str, answer: Mapping[str, Any]) -> None:
        """Handle the answer to an update, an acknowledgement or a refusal."""
        for warning in answer.get("warnings") or ():
            # A clock that runs ahead causes a warning in every answer, each with another time. Numbers are left out.
            kind = re.sub(r"\d[\d:.TZ-]*", "", str(warning))
            level = logging.DEBUG if kind in self._warned else logging.WARNING
            self._warned = {*self._warned, kind} if len(self._warned) < _MOST_WARNINGS else {kind}
            _log.log(level, "job %s: the server warns: %s", self._job_id, warning)
        if seen := answer.get("seenBefore"):
            self._recorder.say(Progress.discount, seen)
        if first_id(update_id) == self._recorder.start_id:
            self._learn(answer)
        command = answer.get("command")
        if answer.get("status") == "received" and command != self.command:
            self.command = command
            self.asks_to_stop = self.must_stop or command in _STOPS
            if command is not None and self._on_command is not None:
                self._call(self._on_command, command)

    def _call(self, on_command: Callable[[str], object], command: str) -> None:
        pid, error = current.pid, None
        try:
            on_command(command)
        except BaseException as raised:  # noqa: BLE001 - the crawler's callback must not end our thread
            error = raised
        if current.pid != pid:
            # The callback forked, and this is the child: it must not go on as the sender.
            end_child(error)
        if error is not None:
            _log.error("job %s: on_command raised an exception, which is ignored", self._job_id, exc_info=error)

    def _learn(self, answer: Mapping[str, Any]) -> None:
        told = answer.get("resume")
        if isinstance(told, dict):
            counts = {name: int(number) for name, number in (told.get("itemsByType") or {}).items()}
            processed = int(told.get("processedItems") or 0)
            mine = int((answer.get("worker") or {}).get("processedItems", processed))
            beyond = told.get("doneBeyond")
            last = told.get("lastProcessedId")
            # A server of an earlier release knows neither keys nor `doneBeyond`: it would not hand them back.
            self._recorder.channel.counts_keys = beyond is not None
            if beyond is None:
                beyond = self._recorder.tell_nothing_beyond(last)
            resume = Resume(last, told.get("resumeState"), counts, processed, "server", frozenset(beyond))
            self._recorder.say(Progress.learn, resume, mine, str(answer.get("newestTimestamp")))
        self.is_answered = True
        self.answered.ring()
