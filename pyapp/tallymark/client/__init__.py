"""The crawler's side: a client that loses nothing. It needs urllib3, and rich to draw a progress bar.

    crawl's threads ─▶ Job ─▶ Recorder: a log          each report is one append, without a lock
        keeper thread: folds the log into Progress, seals what is due ─▶ Channel ─▶ Outbox, a file of the Spool
        sender thread: sends the first waiting updates of all outboxes ─▶ Transport ─▶ server; the answer settles them
        folder thread: also folds the log, which bounds its memory while the keeper waits for the disk

Reports take no lock that a client's thread may hold (see `recorder`). The digests of counted keys are in memory, about
105 MB for a million; a count with a key takes a millisecond more while the disk is far behind. Only `start`, `flush`
and the methods that end a job wait for the server. Python runs signal handlers in the main thread only, which is never
one of the client's. While a job runs, the main thread never holds the lock of its outbox.

Lock order: `Sender._lock`; `Channels._lock`; `Recorder._lock`; `Channel._lock`, then `Outbox._lock`. Only the last two
are held together, and while SQLite works. The others guard work in memory; under them nothing else is locked, logged or
called back. No lock is held during HTTP or a callback. A client that was made before a fork cannot be used in the
child, and a fork waits, for 2 seconds at most, until no thread works in SQLite (see `process`).
"""

from tallymark.client.client import ProgressClient
from tallymark.client.job import Job
from tallymark.client.resume import DeliveryError, FlushResult, Resume
from tallymark.client.transport import Answer, Transport, Unreachable

__all__ = ["Answer", "DeliveryError", "FlushResult", "Job", "ProgressClient", "Resume", "Transport", "Unreachable"]
