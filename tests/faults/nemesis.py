"""The nemesis: one fault after another, in an order that its seed decides."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
AWAY_SECONDS = (0.0, 1.5)
_PEACE_SECONDS = (0.1, 0.7)
_CUT_PATIENCE_SECONDS = 20.0


def planned(faults: int, plan: Mapping[str, int] = PLAN) -> dict[str, int]:
    """Return how many faults of each kind there are in a run of this size or somewhat more.

    Args:
        faults: How many there should be in all.
        plan: How many of each kind there are in a full run.

    Returns:
        The number for each kind, at least one.
    """
    whole = sum(plan.values())
    return {kind: max(1, -(-count * faults // whole)) for kind, count in plan.items()}


class Nemesis:
    """Injects faults, one after another; those of web servers are here, a subclass adds its own to `kinds`.

    Attributes:
        done: How many faults of each kind were injected.
        notes: Counts of other events.
        kinds: What injects a fault, by its name.
        random: Decides everything that is random in a fault.
    """

    def __init__(self, webs: Sequence[WebServer]) -> None:
        """Take the running web servers, which are killed and started again one at a time."""
        self.done: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.random = random.Random(0)
        self.kinds: dict[str, Callable[[], None]] = {
            "web: main process killed": lambda: self._kill_web(self.random.choice(webs), everything=False),
            "web: all processes killed": lambda: self._kill_web(self.random.choice(webs), everything=True),
            "web: a worker killed": lambda: self._kill_worker(self.random.choice(webs)),
            "web: stopped for a while": lambda: self.stop(self.random.choice(webs).processes()),
        }

    def rage(self, plan: Mapping[str, int], seed: int, after_each: Callable[[], None]) -> None:
        """Inject all faults of a plan.

        Args:
            plan: How many of each kind.
            seed: Decides their order and everything random in them.
            after_each: Called after each fault; an exception of it ends the run.
        """
        self.random = random.Random(seed)
        for kind in self.in_order(plan):
            self.pause(_PEACE_SECONDS)
            self.kinds[kind]()
            self.done[kind] += 1
            after_each()

    def in_order(self, plan: Mapping[str, int]) -> list[str]:
        """Return the faults of a plan in the order in which they come."""
        faults = [kind for kind, count in plan.items() for _ in range(count)]
        self.random.shuffle(faults)
        return faults

    def pause(self, seconds: tuple[float, float] = AWAY_SECONDS) -> None:
        """Wait for some time between these two, by default as long as a killed server stays away."""
        time.sleep(self.random.uniform(*seconds))

    def stop(self, processes: list[psutil.Process]) -> None:
        """Stop processes for a while."""
        with stopped(processes):
            self.pause(_STOP_SECONDS)

    def _kill_web(self, web: WebServer, *, everything: bool) -> None:
        processes = web.processes()
        kill(processes if everything else processes[:1])
        web.wait_for_the_end(processes)
        self.pause()
        web.start()

    def _kill_worker(self, web: WebServer) -> None:
        wait_until(lambda: len(web.workers()) == WORKERS, "all workers")
        victim = self.random.choice(web.workers())
        kill([victim])
        wait_until(
            lambda: not web.is_running() or len({*web.workers()} - {victim}) == WORKERS,
            "a new worker, or the end of the web server",
        )
        if not web.is_running():
            self.notes["the web server ended when a worker was killed"] += 1
            web.start()


class SingleNemesis(Nemesis):
    """Injects faults into a web server, a PostgreSQL and the two proxies before them."""

    def __init__(self, web: WebServer, postgres: EmbeddedPostgres, to_web: Proxy, to_postgres: Proxy) -> None:
        """Take what may be broken.

        Args:
            web: The running web server.
            postgres: The running database. This thread started it, and will start it again.
            to_web: The proxy between crawlers and the web server.
            to_postgres: The proxy between the web server and the database.
        """
        super().__init__([web])
        self._postgres = postgres
        self._to_postgres = to_postgres
        self.kinds |= {
            "postgres: postmaster killed": self._kill_postmaster,
            "postgres: a backend killed": self._kill_backend,
            "postgres: postmaster stopped for a while": lambda: self.stop([postmaster(postgres)]),
            "postgres: a backend stopped for a while": lambda: self.stop([self._some_backend()]),
        }
        for name, proxy in (("crawler-web", to_web), ("web-postgres", to_postgres)):
            for when in Cut:
                self.kinds[f"{name} cut: {when.name}"] = partial(self._cut, proxy, when)

    def _kill_postmaster(self) -> None:
        kill([postmaster(self._postgres)])
        self.pause()
        # Its backends may still run, and commit, until they notice. A start waits for them.
        self._postgres.stop()
        self._postgres.start()
        self._to_postgres.upstream = self._postgres.port

    def _kill_backend(self) -> None:
        # A backend that ended by itself is not a fault. PostgreSQL restarts all others, and recovers.
        while not kill([self._some_backend()]):
            pass

    def _some_backend(self) -> psutil.Process:
        """Return a backend, if possible a busy one."""
        wait_until(lambda: bool(backends(self._postgres)), "a backend of the endpoint's")
        found = backends(self._postgres)
        return found[0] if found else self._some_backend()

    def _cut(self, proxy: Proxy, when: Cut) -> None:
        # Several in a row also hit the endpoint's second attempt, and the crawler's next one.
        count = self.random.choice([1, 1, 2, 4])
        done = proxy.cut(when, count, _CUT_PATIENCE_SECONDS)
        assert done, f"within {_CUT_PATIENCE_SECONDS:g} s there was nothing to cut: {when.value}"
