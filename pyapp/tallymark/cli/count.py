"""The command that counts the lines of a pipe: count."""

import hashlib
import os
import select
import signal
import sys
import threading
from contextlib import suppress

import click

from tallymark.cli.interrupt import Interrupt
from tallymark.cli.reporting import BY_SIGNAL, Place, end_by, fill_standard_streams, make_job, reporting_options
from tallymark.client import Job
from tallymark.client.checks import MOST, check_type
from tallymark.terminal.screen import say

_READ_BYTES = 65536
#: A pipe takes so many bytes at once, without waiting, when it says that it takes any.
_WRITE_BYTES = select.PIPE_BUF
#: Keys that wait for the start of the job.
_MOST_WAITING = 10_000
_LONGEST_KEY = 1000
_INPUT, _OUTPUT = 0, 1


def _as_type(_context: click.Context, _option: click.Parameter, type_: str) -> str:
    """Refuse the name of a type that the server would refuse, before the pipe has begun."""
    try:
        check_type(type_)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return type_


@click.command()
@click.argument("job_id", metavar="JOB")
@click.option("--type", "type_", metavar="TYPE", default="lines", callback=_as_type, help="What a line counts as.")
@click.option("--key", is_flag=True, help="Count equal lines once in the whole of JOB.")
@click.option("--total", type=click.IntRange(0, MOST), metavar="N", help="How many lines are expected.")
@reporting_options
def count(job_id: str, type_: str, total: int | None, place: Place, worker: str | None, *, key: bool) -> None:
    """Pass standard input on to standard output, and count its lines in JOB.

    Every byte is passed on as it is, as soon as it comes. A line counts when it has been written; a last line without
    an end counts, too. At the end of the input JOB is completed; it is paused on Ctrl-C and SIGTERM, and where the
    reader of the output goes away, as `head` does; and failed where the input cannot be read or the output not written.

    How the other commands of the pipe ended is not known here: see `tallymark run`.

    Exits 0 at the end of the input, 1 if the input cannot be read or the output not written, 141 if the reader of the
    output has gone away.
    """
    fill_standard_streams()
    # SQLite and the network must not be opened by a number that the pipe uses: the streams are there by now.
    client, job = make_job(place, job_id, worker, None)
    with client, Interrupt() as interrupt:
        counter = _Counter(job, type_, total, keyed=key)
        problem = _pass_on(counter, interrupt)
        counter.finish()
        if isinstance(problem, BrokenPipeError):
            job.pause(message="the reader of the output went away")
        elif problem is not None:
            job.fail(problem)
        elif interrupt.number is not None:
            job.pause(message=f"interrupted ({signal.Signals(interrupt.number).name})")
        else:
            job.complete()
    if isinstance(problem, BrokenPipeError):
        sys.exit(BY_SIGNAL + signal.SIGPIPE)
    if problem is not None:
        say(f"tallymark: {problem.filename}: {problem.strerror or problem}", err=True)
        sys.exit(1)
    if interrupt.number is not None:
        end_by(interrupt.number)


def _pass_on(counter: "_Counter", interrupt: Interrupt) -> OSError | None:
    """Copy standard input to standard output, until either ends; return why one of them could not be used."""
    while _is_ready(_INPUT, select.POLLIN, interrupt):
        try:
            data = os.read(_INPUT, _READ_BYTES)
        except BlockingIOError:
            continue
        except OSError as error:
            error.filename = "standard input"
            return error
        if not data:
            break
        view = memoryview(data)
        while view:
            if not _is_ready(_OUTPUT, select.POLLOUT, interrupt):
                return None
            try:
                written = os.write(_OUTPUT, view[:_WRITE_BYTES])
            except BlockingIOError:
                continue
            except OSError as error:
                error.filename = "standard output"
                return error
            counter.take(view[:written])
            view = view[written:]
    return None


def _is_ready(number: int, event: int, interrupt: Interrupt) -> bool:
    """Wait until a stream can be read or written; return False if this process was asked to end."""
    ends = select.poll()
    ends.register(number, event)
    ends.register(interrupt, select.POLLIN)
    ends.poll()
    return interrupt.number is None


class _Counter:
    """Counts lines in a job. The job starts in a thread of its own, because the pipe must not wait for the server."""

    def __init__(self, job: Job, type_: str, total: int | None, *, keyed: bool) -> None:
        self._job = job
        self._type = type_
        self._keyed = keyed
        self._number = 0
        self._keys: list[str] = []
        #: A line whose end has not come yet.
        self._has_begun = False
        self._begun = _Line()
        self._total = total
        self._has_total = False
        self._is_starting = True
        #: For what was counted and not reported yet: both threads report it.
        self._lock = threading.Lock()
        self._starting = threading.Thread(target=self._start, name="tallymark-start", daemon=True)
        self._starting.start()

    def _start(self) -> None:
        """Start the job, and report what was counted meanwhile: no further line may come for long."""
        try:
            self._job.start()
        finally:
            with self._lock:
                self._is_starting = False
        self._report()

    def take(self, data: memoryview) -> None:
        """Count the lines of what was written."""
        with self._lock:
            self._count(bytes(data))
        if len(self._keys) > _MOST_WAITING:
            self._starting.join()
        self._report()

    def _count(self, text: bytes) -> None:
        *lines, rest = text.split(b"\n")
        self._number += len(lines)
        self._has_begun = bool(rest) or (self._has_begun and not lines)
        if self._keyed:
            for line in lines:
                self._begun.add(line)
                self._keys.append(self._begun.key())
                self._begun = _Line()
            self._begun.add(rest)

    def finish(self) -> None:
        """Count the last line, if it has no end, and report all."""
        with self._lock:
            if self._has_begun:
                self._number += 1
                self._keys += [self._begun.key()] if self._keyed else []
        self._starting.join()
        self._report()

    def _report(self) -> None:
        with self._lock:
            if not self._is_starting:
                self._say()

    def _say(self) -> None:
        if self._total is not None and not self._has_total:
            self._job.total(self._total)
            self._has_total = True
        if self._number and not self._keyed:
            self._job.advance(self._type, self._number)
        self._number = 0
        for key in self._keys:
            self._job.advance(self._type, key=key)
        self._keys = []


class _Line:
    """A line as its parts come. Of a long one, which may have no end, only the beginning and a digest are kept."""

    def __init__(self) -> None:
        self._text = b""
        self._digest = hashlib.sha256()

    def add(self, part: bytes) -> None:
        """Take the next part."""
        self._digest.update(part)
        self._text += part[: _LONGEST_KEY + 1 - len(self._text)]

    def key(self) -> str:
        """Return the line as a key; a digest, where it is too long or no text."""
        if len(self._text) <= _LONGEST_KEY:
            with suppress(UnicodeDecodeError):
                text = self._text.decode()
                if text and "\0" not in text:
                    return text
        return f"sha256:{self._digest.hexdigest()}"
