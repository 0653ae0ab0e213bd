"""The nemesis of a cluster: nodes and endpoints are killed, shards move, and nodes are added, one after another."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from tests.faults.nemesis import Nemesis
from tests.faults.servers import WebServer, wait_until

from tallymark.schema.distribute import distribute

from .cluster import Database, on
from .servers import Server

#: The kinds of faults, with their numbers in a full run.
PLAN = {
    "web: main process killed": 10,
    "web: all processes killed": 10,
    "web: a worker killed": 10,
    "worker: killed": 40,
    "worker: a backend killed": 20,
    "coordinator: killed": 24,
    "coordinator: a backend killed": 12,
    "shards moved": 44,
    "shards moved, the source killed meanwhile": 10,
    "shards moved, the target killed meanwhile": 10,
    "shards moved, the coordinator killed meanwhile": 10,
}
#: A node is added, all of the schema distributed again, and the shards rebalanced.
ADDED = "node added, and shards rebalanced"
#: How long after the beginning of a move something is killed.
_INTO_A_MOVE_SECONDS = (0.1, 2.5)
_MOVE_TRIES = 20

#: Of each shard of the jobs: where it is. The other tables' shards move with it.
_SHARDS = """
SELECT s.shardid, s.nodename, s.nodeport FROM citus_shards AS s
WHERE s.table_name = 'tallymark.job'::regclass ORDER BY s.shardid
"""
_MOVE = "SELECT citus_move_shard_placement(%s, %s, %s, %s, %s, 'force_logical')"
_UNFINISHED = (
    "SELECT count(*) FROM pg_dist_background_job WHERE state IN ('scheduled', 'running', 'cancelling', 'failing')"
)


class ClusterNemesis(Nemesis):
    """Injects faults into the endpoints and the nodes of a cluster, and lets it grow."""

    def __init__(self, webs: Sequence[WebServer], database: Database, known: int) -> None:
        """Take what may be broken.

        Args:
            webs: The running endpoints.
            database: A distributed database.
            known: How many of its workers the coordinator knows. The others are added in the course of the run.
        """
        super().__init__(webs)
        self._database = database
        self._coordinator, *self._workers = (Server(url) for url in database.everywhere)
        self._known = known
        self.kinds |= {
            "worker: killed": lambda: self._kill(self._some_worker()),
            "worker: a backend killed": lambda: self._some_worker().kill_backend(),
            "coordinator: killed": lambda: self._kill(self._coordinator),
            "coordinator: a backend killed": self._coordinator.kill_backend,
            "shards moved": self._move,
            "shards moved, the source killed meanwhile": partial(self._move, kills=lambda source, _: source),
            "shards moved, the target killed meanwhile": partial(self._move, kills=lambda _, target: target),
            "shards moved, the coordinator killed meanwhile": partial(
                self._move, kills=lambda _, __: self._coordinator
            ),
            ADDED: self._add,
        }

    def in_order(self, plan: Mapping[str, int]) -> list[str]:
        """Shuffle all but the additions of nodes, which come early, so that most faults hit a node that was added."""
        faults = super().in_order({kind: count for kind, count in plan.items() if kind != ADDED})
        for number in range(plan.get(ADDED, 0)):
            faults.insert((number + 1) * len(faults) // (plan[ADDED] + 3), ADDED)
        return faults

    def wait_until_clean(self) -> None:
        """Wait until no node has a prepared transaction left of what was killed, which Citus ends one way or other."""
        for url in self._database.everywhere[: self._known + 1]:
            ours = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"
            wait_until(lambda: on(url, ours) == [(0,)], f"the end of prepared transactions on {url}")  # noqa: B023

    def _some_worker(self) -> Server:
        return self.random.choice(self._workers[: self._known])

    def _kill(self, server: Server) -> None:
        server.kill()
        self.pause()
        server.start()

    def _move(self, kills: Callable[[Server, Server], Server] | None = None) -> None:
        """Move the jobs of a shard to another worker, and try again until that is done; the first try meets a kill."""
        places = {self._place(worker.url): worker for worker in self._workers[: self._known]}
        shard, name, port = self.random.choice(on(self._database.url, _SHARDS))
        to = self.random.choice([place for place in places if place != (name, port)])
        moving = threading.Thread(target=self._try_to_move, args=(shard, (name, port), to))
        moving.start()
        if kills is not None:
            self.pause(_INTO_A_MOVE_SECONDS)
            self._kill(kills(places[name, port], places[to]))
        moving.join()

    def _try_to_move(self, shard: int, source: tuple[str, int], target: tuple[str, int]) -> None:
        for _ in range(_MOVE_TRIES):
            try:
                if (shard, *source) not in on(self._database.url, _SHARDS):
                    return
                on(self._database.url, _MOVE, shard, *source, *target)
            except psycopg.Error as error:
                self.notes[f"a move was tried again after {error.sqlstate or 'a broken connection'}"] += 1
                time.sleep(1)
        self.notes["a move was given up"] += 1

    def _add(self) -> None:
        """Add the next node, as docs/scaling.md says it."""
        url = self._database.workers[self._known]
        on(url, "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        self._database.add_worker(self._known)
        self._known += 1
        distribute(self._database.url)
        on(self._database.url, "SELECT citus_rebalance_start(shard_transfer_mode => 'force_logical')")
        give_up = time.monotonic() + 300
        while on(self._database.url, _UNFINISHED) != [(0,)]:
            assert time.monotonic() < give_up, "the shards are not rebalanced"
            time.sleep(0.2)
        name, port = self._place(url)
        count = sum((name, port) == (found, at) for _shard, found, at in on(self._database.url, _SHARDS))
        assert count > 0, f"no shard of the jobs came to {url}"

    @staticmethod
    def _place(url: str) -> tuple[str, int]:
        at: dict[str, Any] = conninfo_to_dict(url)
        return at["host"], int(at["port"] or 5432)
