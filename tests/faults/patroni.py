"""A PostgreSQL cluster of several nodes, which Patroni keeps with the help of etcd, all on this machine."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tallymark.server.ports import some_free_port
from tallymark.server.postgres_user import PostgresUser, choose_user

from .debian import POSTGRES_BIN, Programs

HOST = "127.0.0.1"
#: Seconds after which a leader that has not renewed its key is no leader any more. Patroni's default is 30.
TTL = 10
_PATIENCE_SECONDS = 240.0
_SUPERUSER = {"username": "postgres", "password": "super"}
_REPLICATOR = {"username": "replicator", "password": "follow"}


def wait_for(found: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever was found
    """Wait until something is found, and return it."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not (it := found()):
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.1)
    return it


class Node:
    """A server of the cluster: Patroni, and the PostgreSQL that it runs."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        """Prepare; nothing is started before `start`."""
        self.name = f"node{number}"
        self.port = some_free_port(HOST)
        self.log = cluster.directory / f"{self.name}.log"
        self._rest = some_free_port(HOST)
        self._cluster = cluster
        self._directory = cluster.directory / self.name
        self._process: subprocess.Popen[bytes] | None = None
        self._directory.mkdir(mode=0o700)
        cluster.user.give(self._directory)
        self._config = self._directory / "patroni.yml"
        # JSON is YAML, too.
        self._config.write_text(json.dumps(self._configuration(), indent=1))

    def _configuration(self) -> dict[str, Any]:
        at = f"{HOST}:{self._rest}"
        return {
            "scope": "tallymark",
            "name": self.name,
            "etcd3": {"host": f"{HOST}:{self._cluster.etcd_port}"},
            "restapi": {"listen": at, "connect_address": at},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": 1,
                    "retry_timeout": 3,
                    "synchronous_mode": self._cluster.is_synchronous,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "parameters": {
                            "max_connections": 60,
                            "shared_buffers": "32MB",
                            "wal_keep_size": "64MB",
                            "wal_log_hints": True,
                        },
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}],
            },
            "postgresql": {
                "listen": f"{HOST}:{self.port}",
                "connect_address": f"{HOST}:{self.port}",
                "data_dir": str(self._directory / "data"),
                "bin_dir": str(POSTGRES_BIN),
                "pgpass": str(self._directory / "pgpass"),
                "authentication": {"superuser": _SUPERUSER, "replication": _REPLICATOR},
                "pg_hba": [f"host all all {HOST}/32 scram-sha-256", f"host replication all {HOST}/32 scram-sha-256"],
                "parameters": {"unix_socket_directories": ""},
            },
        }

    def start(self) -> None:
        """Start Patroni, which starts PostgreSQL."""
        programs, user = self._cluster.programs, self._cluster.user
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*user.prefix, *programs.patroni, str(self._config)],
                cwd="/",
                env=_environment() | programs.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **user.popen_arguments(),
            )

    def processes(self) -> list[psutil.Process]:
        """Return Patroni and all processes of PostgreSQL: those that Patroni started, and a server it took over."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                # All of PostgreSQL's processes work in the data directory, also those whose parent was killed.
                if str(self._config) in _words(process) or process.cwd() == str(self._directory / "data"):
                    found.append(process)
        # Patroni first: it would start the others again.
        return sorted(found, key=lambda process: str(self._config) not in _words(process))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of them, to Patroni first."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """Kill all of them with -9, until none is left."""
        while self.processes():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            if self._process is not None:
                self._process.wait()

    def url(self, **parameters: str) -> str:
        """Return the superuser's URL of the database on this node."""
        return _url([self], parameters)

    def state(self) -> dict[str, Any]:
        """Return what Patroni says of the node; nothing if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._rest}/patroni", timeout=2) as answer:
                told: dict[str, Any] = json.load(answer)
        except (OSError, ValueError):
            return {}
        return told

    def switch_over(self) -> None:
        """Hand the primary's role over to a replica that Patroni chooses."""
        body = json.dumps({"leader": self.name}).encode()
        request = urllib.request.Request(f"http://{HOST}:{self._rest}/switchover", body, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the address is ours
            answer.read()

    def health(self, path: str) -> int:
        """Return the status of one of Patroni's health checks, as a load balancer asks for it."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._rest}{path}", timeout=2) as answer:
                return int(answer.status)
        except OSError as error:
            return int(getattr(error, "code", 0))


class Cluster:
    """The nodes, and an etcd.

    Attributes:
        nodes: All nodes, whether they run or not.
        directory: Where everything of theirs is.
    """

    def __init__(self, directory: Path, programs: Programs, *, nodes: int, is_synchronous: bool) -> None:
        self.directory = directory
        self.programs = programs
        self.is_synchronous = is_synchronous
        self.user: PostgresUser = choose_user(directory, POSTGRES_BIN / "postgres")
        self.etcd_port = some_free_port(HOST)
        self._etcd: subprocess.Popen[bytes] | None = None
        self.nodes = [Node(self, number) for number in range(1, nodes + 1)]

    def start(self) -> None:
        """Start all, and wait until there are a primary and its replicas."""
        peers, clients = f"http://{HOST}:{some_free_port(HOST)}", f"http://{HOST}:{self.etcd_port}"
        data = self.directory / "etcd"
        with (self.directory / "etcd.log").open("ab") as log:
            self._etcd = subprocess.Popen(
                [
                    *(self.programs.etcd, "--name", "one", "--data-dir", str(data)),
                    *("--listen-client-urls", clients, "--advertise-client-urls", clients),
                    *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
                    *("--initial-cluster", f"one={peers}"),
                ],
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )
        for node in self.nodes:
            node.start()
        self.wait_until_whole()

    def stop(self) -> None:
        """Kill everything."""
        for node in self.nodes:
            node.kill()
        if self._etcd is not None:
            self._etcd.kill()
            self._etcd.wait()

    def url(self, **parameters: str) -> str:
        """Return a superuser's URL that names all nodes."""
        return _url(self.nodes, {"target_session_attrs": "read-write", **parameters})

    def primary(self) -> Node | None:
        """Return the node that takes writes, by its own word; None if there is none, or more than one."""
        found = [node for node in self.nodes if node.health("/primary") == 200]
        return found[0] if len(found) == 1 else None

    def wait_for_primary(self, *, other_than: Node | None = None) -> Node:
        """Wait until there is a primary, another one than that."""

        def found() -> Node | None:
            node = self.primary()
            return None if node is other_than else node

        return wait_for(found, "a primary")  # type: ignore[no-any-return]

    def wait_until_whole(self) -> Node:
        """Wait until all nodes run and replicate, one of them synchronously if it should; return the primary."""
        query = """SELECT count(*), count(*) FILTER (WHERE sync_state = 'sync')
            FROM pg_stat_replication WHERE state = 'streaming'"""
        expected = (len(self.nodes) - 1, 1 if self.is_synchronous else 0)

        def found() -> Node | None:
            primary = self.primary()
            with suppress(psycopg.Error):
                if primary is not None and primary.state().get("timeline"):
                    with psycopg.connect(primary.url(dbname="postgres"), connect_timeout=3) as connection:
                        if connection.execute(query).fetchone() == expected and self._has_synchronous(primary):
                            return primary
            return None

        return wait_for(found, "all nodes to replicate")  # type: ignore[no-any-return]

    def cut_off_replicas(self, primary: Node) -> None:
        """Let no replica follow the primary any more. The next primary must let them in again."""
        with psycopg.connect(primary.url(), autocommit=True) as connection:
            connection.execute("ALTER ROLE replicator NOLOGIN")
            written = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
            caught_up = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= %s"
            replicas = (len(self.nodes) - 1,)
            wait_for(lambda: connection.execute(caught_up, written).fetchone() == replicas, "the replicas to catch up")
            connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_replication")
            query = "SELECT FROM pg_stat_replication"
            wait_for(lambda: connection.execute(query).fetchone() is None, "the replicas to be cut off")

    def _has_synchronous(self, primary: Node) -> bool:
        """Return whether Patroni would fail over to the synchronous replica now: etcd has its name."""
        others = [node for node in self.nodes if node is not primary]
        return not self.is_synchronous or any(node.health("/synchronous") == 200 for node in others)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _url(nodes: list[Node], parameters: dict[str, str]) -> str:
    hosts = ",".join(f"{HOST}:{node.port}" for node in nodes)
    rest = "&".join(f"{name}={value}" for name, value in parameters.items() if name != "dbname")
    user, password = _SUPERUSER["username"], _SUPERUSER["password"]
    return f"postgresql://{user}:{password}@{hosts}/{parameters.get('dbname', 'tallymark')}" + (
        f"?{rest}" if rest else ""
    )


def _environment() -> dict[str, str]:
    """Return our environment without what would lead Patroni, PostgreSQL or Python elsewhere."""
    drop = ("PG", "PATRONI_", "ETCD_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    return kept | {"PATH": f"{POSTGRES_BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


@contextmanager
def running(directory: Path, programs: Programs, *, nodes: int, is_synchronous: bool) -> Iterator[Cluster]:
    """Run a cluster with the database `tallymark` in it. Its directory goes with it, unless something fails."""
    directory.mkdir(mode=0o700)
    cluster = Cluster(directory, programs, nodes=nodes, is_synchronous=is_synchronous)
    try:
        cluster.start()
        with psycopg.connect(cluster.url(dbname="postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE tallymark TEMPLATE template0")
        yield cluster
    finally:
        cluster.stop()
    shutil.rmtree(directory)
