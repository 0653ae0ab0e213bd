"""What the pools of this process may have of a server's connections together, and which pool gets the next one.

Where the server gives fewer than the pools may have, they divide what there is: each can always get one, and the larger
pool gives way to the smaller. Connections that nobody used for some seconds are closed, but for the last one of a pool.

Other processes know nothing of these pools. So while the server has no connection left, this process keeps one fewer
than it could have, and it closes each of its connections after a second. A process that has none tries again until its
callers have waited for too long.
"""

import logging
import time
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallymark.web.db.connections import Connection, Pool

_logger = logging.getLogger("tallymark.web.database")

#: How long a connection may be unused. The last one of a pool may for longer: a new one takes some 20 ms until the
#: server has read what the functions need.
_IDLE_SECONDS = 5.0
_LAST_IDLE_SECONDS = 600.0
#: How long it may live: a server process that serves for days keeps memory.
_LIFE_SECONDS = 3600.0
#: All of these, while the server has no connection left; and how long that is believed.
_FULL_LIFE_SECONDS = 1.0
_FULL_SECONDS = 10.0
#: How often the server is asked how many it has left.
_LOOK_SECONDS = 3
#: How long others may take a connection that was closed for them.
_GIVE_WAY_SECONDS = 0.12
#: How long the server may need to end a connection.
_END_SECONDS = 1.0


class Share:
    """The pools of one process with connections to one server.

    `serve` is the one place that decides who gets what. It and all counts are under `lock`.
    """

    def __init__(self) -> None:
        """Nothing is limited before the server has refused a connection, or said that it has none left."""
        self.lock = Lock()
        self.pools: list[Pool] = []
        self._limit: int | None = None
        self._full_until = 0.0
        self._give_way_until = 0.0
        #: When a connection that worked was closed last.
        self._closed_at = 0.0
        self._is_kept = False

    @property
    def _open(self) -> int:
        return sum(pool.size for pool in self.pools)

    def serve(self) -> None:
        """Hand out what is free, and let those who are first in line open one where there may be. Needs the lock."""
        for pool in self.pools:
            while pool.line and pool.free:
                pool.hand(pool.free.pop())
        hungry = [pool for pool in self.pools if pool.line and not pool.is_opening and pool.size < pool.most]
        if not hungry:
            return
        limit = self.limit()
        # A pool without any comes first.
        for pool in sorted(hungry, key=lambda each: (each.size, each.line[0].since)):
            place = pool.line[0]
            if limit is not None and self._open >= limit:
                place.spare = self._spare_for(pool)
                if place.spare is None:
                    continue
            pool.line.popleft()
            pool.size += 1
            pool.is_opening = True
            place.turn.release()

    def limit(self) -> int | None:
        """Return how many connections there may be, as far as is known. Needs the lock."""
        if time.monotonic() >= self._full_until:
            self._limit = None
        return self._limit

    def _spare_for(self, pool: "Pool") -> "Connection | None":
        """Take a free connection from the largest pool that has to give one. Needs the lock."""
        donors = [each for each in self.pools if each.free and each is not pool and each.owes(pool)]
        if not donors:
            return None
        donor = max(donors, key=lambda each: each.size)
        donor.size -= 1
        return donor.free.pop(0)

    def may_stay(self, pool: "Pool", connection: "Connection") -> bool:
        """Return whether a pool may keep a connection that comes back. Needs the lock."""
        limit = self.limit()
        age = time.monotonic() - connection.opened_at
        if limit is None:
            return age < _LIFE_SECONDS
        if age >= _FULL_LIFE_SECONDS:
            if all(each.size <= 1 for each in self.pools):
                self._give_way_until = time.monotonic() + _GIVE_WAY_SECONDS
            return False
        if self._open > limit and pool.size > 1:
            return False
        return self._open < limit or not any(
            each.line and not each.is_opening and each.size < each.most and pool.owes(each)
            for each in self.pools
            if each is not pool
        )

    def note_closed(self) -> None:
        """Note that the server is about to have one connection more. Needs the lock."""
        self._closed_at = time.monotonic()

    def is_one_ending(self) -> bool:
        """Return whether the server may still be ending a connection that was closed. Needs the lock."""
        return time.monotonic() < self._closed_at + _END_SECONDS

    def note_full(self, limit: int) -> None:
        """Note that the server gives no more than so many, or should not. Needs the lock."""
        if self.limit() is None:
            _logger.info("the database server has no connection left: this process uses %d", limit)
        self._limit = limit
        self._full_until = time.monotonic() + _FULL_SECONDS

    def note_away(self) -> None:
        """Note that the server was away, so refusals said nothing about how many it gives. Needs the lock."""
        self._full_until = 0.0

    def note_opened(self, left: int) -> None:
        """Note how many connections the server has left, now that one was opened. Needs the lock."""
        self._note_left(left)
        if not self._is_kept:
            self._is_kept = True
            Thread(target=self._keep, name="tallymark-connections", daemon=True).start()

    def _note_left(self, left: int) -> None:
        """Note how many connections the server has left. The last one is left to others. Needs the lock."""
        if left <= 0:
            self.note_full(max(self._open - 1, sum(pool.size > 0 for pool in self.pools)))

    def has_any(self) -> bool:
        """Return whether there are connections besides those that are being opened. Needs the lock."""
        return any(pool.size > pool.is_opening for pool in self.pools)

    def let_others_in(self) -> None:
        """Wait until other processes had their chance to get what was closed for them."""
        time.sleep(max(0.0, self._give_way_until - time.monotonic()))

    def _keep(self) -> None:
        """Close what nobody uses, as long as there is any connection."""
        seconds = 0
        while True:
            time.sleep(1.0)
            seconds += 1
            for each in self.pools:
                each.cut_stuck()
            if seconds % _LOOK_SECONDS == 0:
                self._look()
            with self.lock:
                now, is_full = time.monotonic(), self.limit() is not None
                oldest = now - (_FULL_LIFE_SECONDS if is_full else _IDLE_SECONDS)
                oldest_of_last = oldest if is_full else now - _LAST_IDLE_SECONDS
                idle = [(pool, pool.take_idle(oldest, oldest_of_last)) for pool in self.pools]
            for pool, connections in idle:
                pool.drop(connections)
            with self.lock:
                self.serve()
                if not any(pool.size or pool.line for pool in self.pools):
                    self._is_kept = False
                    return

    def _look(self) -> None:
        """Ask the server how many connections it has left, on one that nobody needs now."""
        for pool in self.pools:
            left = pool.look()
            if left is not None:
                with self.lock:
                    self._note_left(left)
                return
