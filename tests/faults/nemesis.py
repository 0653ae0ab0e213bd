"""The nemesis: one fault after another, in an order that its seed decides."""

import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import psutil

from tallymark.server import EmbeddedPostgres

from .proxy import Cut, Proxy
from .servers import WORKERS, WebServer, backends, kill, postmaster, stopped, wait_until

#: The kinds of faults, with their numbers in a full run.
PLAN = {
    "web: main process killed": 6,
    "web: all processes killed": 6,
    "web: a worker killed": 6,
    "web: stopped for a while": 10,
    "postgres: postmaster killed": 10,
    "postgres: a backend killed": 8,
    "postgres: postmaster stopped for a while": 6,
    "postgres: a backend stopped for a while": 14,
    "crawler-web cut: BEFORE": 18,
    "crawler-web cut: PARTLY": 14,
    "crawler-web cut: DURING": 20,
    "crawler-web cut: AFTER": 26,
    "web-postgres cut: BEFORE": 18,
    "web-postgres cut: PARTLY": 12,
    "web-postgres cut: DURING": 20,
    "web-postgres cut: AFTER": 26,
}
#: How long a process is stopped; sometimes longer than crawlers, locks and the pool wait.
_STOP_SECONDS = (0.2, 3.5)
#: How long a killed server stays away, and the pause between two faults.
_AWAY_SECONDS = (0.0, 1.5)
_PEACE_SECONDS = (0.1, 0.7)
_CUT_PATIENCE_SECONDS = 20.0


def planned(faults: int) -> dict[str, int]:
    """Return how many faults of each kind there are in a run of this size or somewhat more.

    Args:
        faults: How many there should be in all.

    Returns:
        The number for each kind, at least one.
    """
    whole = sum(PLAN.values())
    return {kind: max(1, -(-count * faults // whole)) for kind, count in PLAN.items()}


class Nemesis:
    """Injects faults into a web server, a PostgreSQL and the two proxies before them.

    Attributes:
        done: How many faults of each kind were injected.
        notes: Counts of other events.
    """

    def __init__(self, web: WebServer, postgres: EmbeddedPostgres, to_web: Proxy, to_postgres: Proxy) -> None:
        """Take what may be broken.

        Args:
            web: The running web server.
            postgres: The running database. This thread started it, and will start it again.
            to_web: The proxy between crawlers and the web server.
            to_postgres: The proxy between the web server and the database.
        """
        self.done: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self._web = web
        self._postgres = postgres
        self._to_postgres = to_postgres
        self._kinds: dict[str, Callable[[], None]] = {
            "web: main process killed": partial(self._kill_web, everything=False),
            "web: all processes killed": partial(self._kill_web, everything=True),
            "web: a worker killed": self._kill_worker,
            "web: stopped for a while": lambda: self._stop(web.processes()),
            "postgres: postmaster killed": self._kill_postmaster,
            "postgres: a backend killed": self._kill_backend,
            "postgres: postmaster stopped for a while": lambda: self._stop([postmaster(postgres)]),
            "postgres: a backend stopped for a while": lambda: self._stop([self._some_backend()]),
        }
        for name, proxy in (("crawler-web", to_web), ("web-postgres", to_postgres)):
            for when in Cut:
                self._kinds[f"{name} cut: {when.name}"] = partial(self._cut, proxy, when)
        self._random = random.Random(0)

    def rage(self, plan: dict[str, int], seed: int, after_each: Callable[[], None]) -> None:
        """Inject all faults of a plan.

        Args:
            plan: How many of each kind.
            seed: Decides their order and everything random in them.
            after_each: Called after each fault; an exception of it ends the run.
        """
        self._random = random.Random(seed)
        faults = [kind for kind, count in plan.items() for _ in range(count)]
        self._random.shuffle(faults)
        for kind in faults:
            self._pause(_PEACE_SECONDS)
            self._kinds[kind]()
            self.done[kind] += 1
            after_each()

    def _pause(self, seconds: tuple[float, float]) -> None:
        time.sleep(self._random.uniform(*seconds))

    def _kill_web(self, *, everything: bool) -> None:
        processes = self._web.processes()
        kill(processes if everything else processes[:1])
        self._web.wait_for_the_end(processes)
        self._pause(_AWAY_SECONDS)
        self._web.start()

    def _kill_worker(self) -> None:
        wait_until(lambda: len(self._web.workers()) == WORKERS, "all workers")
        victim = self._random.choice(self._web.workers())
        kill([victim])
        wait_until(
            lambda: not self._web.is_running() or len({*self._web.workers()} - {victim}) == WORKERS,
            "a new worker, or the end of the web server",
        )
        if not self._web.is_running():
            self.notes["the web server ended when a worker was killed"] += 1
            self._web.start()

    def _kill_postmaster(self) -> None:
        kill([postmaster(self._postgres)])
        self._pause(_AWAY_SECONDS)
        # Its backends may still run, and commit, until they notice. A start waits for them.
        self._postgres.stop()
        self._postgres.start()
        self._to_postgres.upstream = self._postgres.port

    def _kill_backend(self) -> None:
        # A backend that ended by itself is not a fault. PostgreSQL restarts all others, and recovers.
        while not kill([self._some_backend()]):
            pass

    def _stop(self, processes: list[psutil.Process]) -> None:
        with stopped(processes):
            self._pause(_STOP_SECONDS)

    def _some_backend(self) -> psutil.Process:
        """Return a backend, if possible a busy one."""
        wait_until(lambda: bool(backends(self._postgres)), "a backend of the endpoint's")
        found = backends(self._postgres)
        return found[0] if found else self._some_backend()

    def _cut(self, proxy: Proxy, when: Cut) -> None:
        # Several in a row also hit the endpoint's second attempt, and the crawler's next one.
        count = self._random.choice([1, 1, 2, 4])
        done = proxy.cut(when, count, _CUT_PATIENCE_SECONDS)
        assert done, f"within {_CUT_PATIENCE_SECONDS:g} s there was nothing to cut: {when.value}"
