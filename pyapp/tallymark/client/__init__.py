"""The crawlers' side: a client that loses nothing. It needs urllib3, and rich where it draws a bar.

    crawl's threads ─▶ Job HAS a Recorder ─▶ log       what is said: one append each, without a lock
        keeper thread: folds the log into Progress, seals what is due ─▶ Channel ─▶ Outbox, a file of the Spool
        sender thread: the first of what waits in all outboxes ─▶ Transport ─▶ server; the answer settles it
        folder thread: folds the log, too, so that memory stays bounded while the keeper waits for the disk

The crawl's threads never hold a lock that a client's thread waits for, nor wait for one (see `recorder`). Only start,
`flush` and the ends wait, and what has a key reads the spool. Signals are raised in the main thread only, which is
never one of the client's.

Lock order: `Sender._lock`; `Channels._lock`; `Recorder._lock`; `Channel._lock`, then `Outbox._lock`. Only the last two
are ever held together, and while SQLite works; the others for pure work in memory, and nothing is locked, logged or
called back inside. Nothing is held while HTTP or a callback runs. What was made before a fork is of no
use in the child (see `process`).
"""

from tallymark.client.client import ProgressClient
from tallymark.client.job import Job
from tallymark.client.resume import DeliveryError, Resume
from tallymark.client.transport import Answer, Transport, Unreachable

__all__ = ["Answer", "DeliveryError", "Job", "ProgressClient", "Resume", "Transport", "Unreachable"]
