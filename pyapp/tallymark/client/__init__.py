"""The crawler's side: a client that loses nothing. It needs urllib3, and rich to draw a progress bar.

    crawl's threads ─▶ Job ─▶ its Run ─▶ Recorder: a log     each report is one append, without a lock
        keeper thread: folds the log into Progress, seals what is due ─▶ Channel ─▶ Outbox, a file of the Spool
        sender thread: sends the first waiting updates of all outboxes ─▶ Transport ─▶ server; the answer settles them;
            for a job without reports it gives signs of life, whose answers carry commands
        folder thread: also folds the log, which bounds its memory while the keeper waits for the disk

`job` has the public methods. Behind them are `run` (the start, the end, and the way of a report to the recorder),
`counting` (keys), `loops` (`track` and tqdm), `begun` (items in work), `waits`, and `delivery` (`flush` and refusals).

Reports take no lock that a client's thread may hold (see `recorder`). The digests of counted keys are in memory, about
115 MB for a million, and of those that the server counts no more than a million. A count with a key takes a millisecond
more while the disk is far behind. Only `start`, `flush` and the methods that end a job wait for the server. Python runs
signal handlers in the main thread only, which is never one of the client's. While a job runs, the main thread never
holds the lock of its outbox.

What the protocol limits is checked at the call (`checks`, `fields`), or cut (`fitting`). What the server refuses all
the same is mended (`mending`): counts, cursor, state and the end are not lost with a bad field. If the disk
fails, updates wait in memory, and a new file is tried once a minute, or at once if the file was removed (`storage`,
`salvage`). If a process has too many files open, those of quiet jobs are closed until they are used (`spool_file`,
`open_files`, `ownership`). What other processes left is delivered, too (`leftovers`). A log handler of the crawl cannot
raise here or make the client answer itself (`log`).

Lock order: `Waits._lock`; `Sender._lock`; `Channels._lock`; `Recorder._lock`; `Storage._lock`, then that of
`SpoolFile`, then that of `ownership`. Only the last three are held together, and while SQLite works; the lock of
another outbox is only tried. The others guard work in memory; under them nothing else is locked, logged or called back.
No lock is held during HTTP or a callback. A client that was made before a fork cannot be used in the child. A fork
waits until no thread works in SQLite, for 2 seconds at most (see `process`).
"""

from tallymark.client.begun import Begun
from tallymark.client.client import ProgressClient
from tallymark.client.job import Job
from tallymark.client.resume import DeliveryError, FlushResult, Resume
from tallymark.client.transport import Answer, Transport, Unreachable

__all__ = [
    "Answer",
    "Begun",
    "DeliveryError",
    "FlushResult",
    "Job",
    "ProgressClient",
    "Resume",
    "Transport",
    "Unreachable",
]
