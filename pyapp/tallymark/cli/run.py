"""The command that reports how another one ends: run."""

import os
import signal
import sys
from collections.abc import Mapping

import click

from tallymark.cli.reporting import BY_SIGNAL, Place, end_by, fill_standard_streams, make_job, reporting_options
from tallymark.client import DeliveryError, Job, Transport, Unreachable
from tallymark.client.transport import JOBS_PATH, HttpTransport, as_json
from tallymark.plain import plain
from tallymark.terminal.screen import say

#: Signals that ask a process to end.
_ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM})
_FORWARDED = _ENDING | {signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
#: Python ignores these, and a child would inherit that.
_DEFAULT = (signal.SIGPIPE, signal.SIGXFSZ)
#: This process ends by such a signal itself, if the command did. Others would write a core file.
_COPIED = _ENDING | {signal.SIGPIPE, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2}
_NOT_FOUND, _NOT_RUNNABLE = 127, 126
_LOOK_SECONDS = 5.0
#: How a job is after a report of an end. One that waits, or needs credentials, has not ended.
_ENDED = frozenset({"finished", "failed", "cancelled", "paused"})
#: COMMAND may have a client of its own, without a name for its worker: each has a file of its own in the spool.
_WORKER = "run"


@click.command()
@click.argument("job_id", metavar="JOB")
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@reporting_options
def run(job_id: str, command: tuple[str, ...], place: Place, worker: str | None) -> None:
    """Run COMMAND, and report on JOB that it has started and how it ended.

    JOB is completed if COMMAND exits with 0, and has failed otherwise. After Ctrl-C, SIGTERM or SIGHUP it is paused,
    whatever COMMAND exits with. If COMMAND reports the end itself, that counts. It finds the server, the token and the
    job in TALLYMARK_URL, TALLYMARK_TOKEN and TALLYMARK_JOB_ID. Signals are passed on to it, and so is the command of an
    operator to pause or cancel JOB, as SIGTERM. Its standard streams are those of this command.

    Exits as COMMAND does; 127 if there is no such command, 126 if it cannot be run.
    """
    fill_standard_streams()
    # Before there are threads, which would get signals otherwise.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED | {signal.SIGCHLD})
    child = _Child(command, {**os.environ, **_environment(place, job_id)}, mask)
    client, job = make_job(place, job_id, worker or _WORKER, child.obey)
    with client:
        job.start()
        code = child.run()
        if child.problem or not _reported_itself(HttpTransport(place.url, place.token), job):
            _report(job, child, code)
    if -code in _COPIED:
        end_by(-code)
    sys.exit(code if code >= 0 else BY_SIGNAL - code)


def _environment(place: Place, job_id: str) -> dict[str, str]:
    return {"TALLYMARK_URL": place.url, "TALLYMARK_TOKEN": place.token, "TALLYMARK_JOB_ID": job_id}


class _Child:
    """The process of the command.

    Attributes:
        asked: The operator's command that was passed on to it.
        interrupted_by: The last signal that asked it to end.
        problem: Why it could not be run.
    """

    def __init__(self, command: tuple[str, ...], environ: Mapping[str, str], mask: set[int | signal.Signals]) -> None:
        """Start nothing yet. `mask`: the signals that it has blocked."""
        self.asked: str | None = None
        self.interrupted_by: int | None = None
        self.problem = ""
        self.name = command[0]
        self._command, self._environ, self._mask = command, environ, mask
        self._pid = 0

    def obey(self, command: str) -> None:
        """Pass on the command of an operator. Called in a thread of the client."""
        if command in {"pause", "cancel"}:
            self.asked = command
            self._send(signal.SIGTERM)

    def run(self) -> int:
        """Run it to its end; return its exit status, or the signal that ended it as a negative number."""
        if came := signal.sigpending() & _ENDING:
            # It came while the job was started.
            self.interrupted_by = min(came)
            return -self.interrupted_by
        try:
            self._pid = os.posix_spawnp(
                self.name, self._command, self._environ, setsigmask=self._mask, setsigdef=_DEFAULT
            )
        except OSError as error:
            self.problem = error.strerror or str(error)
            say(f"tallymark: {plain(self.name)}: {self.problem}", err=True)
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUNNABLE
        if self.asked is not None:
            self._send(signal.SIGTERM)
        while True:
            came_now = signal.sigwaitinfo(_FORWARDED | {signal.SIGCHLD})
            if came_now.si_signo == signal.SIGCHLD:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                if pid:
                    self._pid = 0
                    return os.waitstatus_to_exitcode(status)
                continue
            if came_now.si_signo in _ENDING:
                self.interrupted_by = came_now.si_signo
            # The terminal sends a signal to the command, too: that has a code above 0.
            if came_now.si_code <= 0:
                self._send(came_now.si_signo)

    def _send(self, number: int) -> None:
        if self._pid:
            os.kill(self._pid, number)


def _reported_itself(transport: Transport, job: Job) -> bool:
    """Return whether the command has reported an end. Registering a job that is there already answers with the job."""
    try:
        if not job.flush(_LOOK_SECONDS).on_server:
            # The start of this run may be missing: the job is as an earlier run has left it.
            return False
        answer = transport.post(JOBS_PATH, as_json({"taskId": job.id}), timeout=_LOOK_SECONDS)
    except (Unreachable, DeliveryError):
        return False
    finally:
        transport.close()
    return isinstance(answer.body, dict) and answer.body.get("status") in _ENDED


def _report(job: Job, child: _Child, code: int) -> None:
    """Report how the command ended."""
    number = -code if code < 0 else code - BY_SIGNAL
    interrupted_by = child.interrupted_by or (number if number in _ENDING else None)
    if child.asked == "cancel":
        job.cancel()
    elif child.asked == "pause":
        job.pause()
    elif interrupted_by is not None:
        job.pause(message=f"interrupted ({signal.Signals(interrupted_by).name})")
    elif child.problem:
        job.fail(f"{child.name}: {child.problem}")
    elif code < 0:
        job.fail(f"{child.name} was ended by {signal.Signals(-code).name}", signal=-code)
    elif code:
        job.fail(f"{child.name} exited with {code}", exitStatus=code)
    else:
        job.complete()
