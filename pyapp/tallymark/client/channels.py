"""The channels of a client: which are being opened, and which are served."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from tallymark.client.channel import Channel
from tallymark.client.outbox import Outbox
from tallymark.client.spool import Spool


class Channels:
    """Safe across threads. Reading takes no lock."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        # Held for work in memory only, and no other lock with it. Reentrant: a signal handler may start a job.
        self._lock = threading.RLock()
        self._served: dict[tuple[str, str | None], Channel] = {}
        #: The users that are opening a channel, and the channel when it is open.
        self._opening: dict[tuple[str, str | None], tuple[object, Channel | None]] = {}
        self.is_closing = False

    def open(self, job_id: str, worker: str | None, user: object) -> Channel:
        """Return a job's channel; `add` serves it. Raises ValueError if it is in use, RuntimeError after `close`.

        After any exception, here or before `add`, the user has to call `give_back`.
        """
        name = job_id, worker
        with self._lock:
            if self.is_closing:
                raise RuntimeError("the client is closed")
            channel = self._served.get(name)
            if name in self._opening or (channel is not None and not channel.is_over):
                raise ValueError(f"job {job_id!r} is open in this client already: share that Job, or name the workers")
            if channel is not None:
                channel.take_up(user)
                return channel
            self._opening[name] = user, None
        outbox = self._spool.open(job_id, worker)
        try:
            channel = Channel(job_id, worker, outbox)
            channel.user = user
            channel.storage.new_file = partial(self._spool.new_file, job_id, worker) if self._spool.directory else None
            self._opening[name] = user, channel
        except BaseException:
            outbox.close()
            raise
        return channel

    def add(self, channel: Channel) -> None:
        """Serve a channel."""
        with self._lock:
            if self.is_closing:
                raise RuntimeError("the client is closed")
            self._served[channel.name] = channel
            self._opening.pop(channel.name, None)

    def give_back(self, job_id: str, worker: str | None, user: object) -> None:
        """Release the channel that this user has opened, if any, because the start of its job failed."""
        name = job_id, worker
        served = self._served.get(name)
        if served is not None and served.user is user:
            served.take_up(None)
            served.is_over = True
        opener, channel = self._opening.get(name, (None, None))
        if opener is user:
            if channel is not None and channel is not served:
                channel.outbox.close()
            self._opening.pop(name, None)

    def adopt(self, outbox: Outbox) -> None:
        """Serve the updates that another process left, unless the job is served already."""
        if (position := outbox.position()) is None:
            outbox.close()
            return
        channel = Channel.adopt(outbox, position)
        with self._lock:
            taken = self._served.setdefault(channel.name, channel) is not channel
        if taken:
            outbox.close()

    def let_go(self, is_done: Callable[[Channel], bool]) -> None:
        """Close the channels that no job uses and that are done."""
        with self._lock:
            done = [channel for channel in self._served.values() if channel.is_over and is_done(channel)]
            for channel in done:
                del self._served[channel.name]
        for channel in done:
            channel.close()

    def close(self) -> None:
        """Accept no new channels."""
        with self._lock:
            self.is_closing = True

    def served(self) -> list[Channel]:
        """Return the channels that are served."""
        return list(self._served.values())

    def users(self) -> list[Any]:
        """Return the jobs that use a channel."""
        return [channel.user for channel in self.served() if channel.user is not None]
