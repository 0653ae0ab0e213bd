"""Where the reports of a run are: on the server, on disk, or refused."""

import _thread
import threading
from queue import SimpleQueue
from typing import Any

from tallymark.client.channel import Channel
from tallymark.client.progress import Progress
from tallymark.client.resume import DeliveryError, FlushResult
from tallymark.client.run import Run
from tallymark.client.updates import updates_wait


def flush(run: Run, timeout: float) -> FlushResult:
    """Wait until all reports so far are safe, and say where they are; see `Job.flush`."""
    seq = run.say_and_wait(Progress.flush)
    channel = run.started().channel
    durable = channel.outbox.is_durable

    def is_in_vain() -> bool:
        return (durable and run.sender.is_away) or run.sender.is_sender() or channel.is_held

    on_server = channel.wait(seq, timeout, is_in_vain)
    if not on_server and not channel.outbox.is_there:
        # Somebody removed the file while the server was waited for. The keeper makes it again, if it can.
        run.say_and_wait(Progress.flush)
    on_disk = not on_server and channel.outbox.is_durable and channel.outbox.is_there
    if not on_server and not on_disk:
        raise DeliveryError(
            f"job {run.job_id}: {updates_wait(len(channel.outbox))} in memory only, and the server did not answer:"
            " call flush() again, or give the client a spool on a working disk"
        )
    refused, run.told_refusals = channel.refusals.since(run.told_refusals)
    return FlushResult(on_server=on_server, on_disk=on_disk, refused=refused)


def refused(channel: Channel) -> list[tuple[dict[str, Any], Any]]:
    """Return the updates that the server refused, each with its answer."""
    if threading.current_thread() is not threading.main_thread():
        return channel.refused()
    # Signal handlers run in the main thread. One that waits for the keeper must not interrupt it while it has the
    # outbox's lock, for which the keeper may wait: so another thread reads.
    answer: SimpleQueue[list[tuple[dict[str, Any], Any]] | BaseException] = SimpleQueue()

    def read() -> None:
        try:
            answer.put(channel.refused())
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            answer.put(error)

    # Not `threading.Thread`: an exception of a signal handler in its `start` would become another one.
    _thread.start_new_thread(read, ())
    found = answer.get()
    if isinstance(found, BaseException):
        raise found
    return found
