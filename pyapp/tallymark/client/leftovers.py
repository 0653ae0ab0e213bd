"""The updates of crawls that do not run any more: a client delivers what other processes left in its spool.

A crawl that starts in another process waits for its file. So a file with leftovers is not held for long: it is closed
after some seconds, whether it is empty or not, and taken up again later.
"""

import sqlite3

from tallymark.client.channel import Channel
from tallymark.client.channels import Channels
from tallymark.client.log import log as _log
from tallymark.client.spool import Spool

#: Seconds between searches for updates that other processes left.
_EVERY_SECONDS = 60.0
#: Seconds for which such a file is held, seconds until the next try if it is not empty then, and the timeout of its
#: requests: together less than a starting crawl waits for its file.
_HOLD_SECONDS = 3.0
_AGAIN_SECONDS = 5.0
TIMEOUT_SECONDS = 3.0


class Leftovers:
    """Looks for leftovers from time to time. Used by the sender's thread only; times are monotonic, in seconds."""

    def __init__(self, spool: Spool, channels: Channels) -> None:
        self._spool = spool
        self._channels = channels
        self._next = 0.0

    def sweep(self, now: float) -> None:
        """Take over the updates of crawls that do not run any more, once a minute."""
        if now < self._next or self._channels.is_closing:
            return
        self._next = now + _EVERY_SECONDS
        for outbox in self._spool.leftovers():
            try:
                self._channels.adopt(outbox)
            except (sqlite3.Error, ValueError, TypeError) as error:
                _log.warning("the updates left in %s cannot be read and stay there: %s", outbox.path, error)
                outbox.close()

    def is_held_for_long(self, channel: Channel, now: float) -> bool:
        """Return whether to close a file of leftovers, and look for it again soon: its crawl may wait for it."""
        if now - channel.since <= _HOLD_SECONDS:
            return False
        self._next = min(self._next, now + _AGAIN_SECONDS)
        return True
