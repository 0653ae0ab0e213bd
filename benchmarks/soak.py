"""An hour's load in ten minutes, with everything else going on: `python -m benchmarks.soak`, or `make soak`.

200 jobs are reported on as fast as the machine holds, over HTTP. All the while 50 pages are open, a replica follows and
is read from, `tallymark prune` folds what is older than a minute, `tallymark verify` goes round all jobs, a watchdog
watches, and in the middle the newest migration is taken back and applied again, functions and all.

What it prints: for each minute the rate, the p99 of the latency, and memory; in the end whether each acknowledged
update is in its ledger once and each job is the fold of its ledger. It exits 1 where an update was not answered 200,
where one is missing, or where a job does not verify. Only while the migration is taken back, an answer may be 503 with
Retry-After: the merge may need what the migration brought. Likewise a run of prune or verify may end then by saying so.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil
import psycopg

from benchmarks.database import Database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import filesystem
from benchmarks.load import Answers, Load
from benchmarks.serving import PRODUCT, Server, serving
from benchmarks.standby import standby
from benchmarks.usage import megabytes
from benchmarks.viewers import open_crowd
from tallymark.functions.errors import NOT_INSTALLED
from tallymark.schema.migrate import migrate
from tallymark.server import EmbeddedPostgres
from tallymark.server.lifeline import bound_to_us

JOBS = 200
CONNECTIONS = 16
PATH = "/api/internal/jobs/progress"
#: How many pages show a job, and how many the overview.
JOB_PAGES, OVERVIEW_PAGES = 40, 10

_PREFIX = "soak_"
_ROOT = Path(__file__).parent.parent
_TALLYMARK = (sys.executable, "-c", "from tallymark.cli import main; main()")
_PRUNE = ("prune", "--older-than", "60s", "--keep", "50", "--json")


class Minute(NamedTuple):
    """What one part of the load came to.

    Attributes:
        answers: What the load generator saw.
        server: Memory of the web server's process, in MB.
        postgres: Memory of PostgreSQL's processes that is their own, together, in MB.
        buffers: Memory that they share, in MB: it grows until shared_buffers have been used once.
        events: Rows in the ledger at its end.
    """

    answers: Answers
    server: float
    postgres: float
    buffers: float
    events: int


class Chore(threading.Thread):
    """A command that is run again and again beside the load, until told to stop.

    Attributes:
        outcomes: What the runs said that did their work.
        failures: What the others said.
        other_release: How many runs ended because tables and functions were of two releases.
    """

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        environ: dict[str, str],
        pause: float,
        migrating: threading.Event,
    ) -> None:
        """Say what; `start` begins it. `migrating` is set while a migration is taken back and applied."""
        super().__init__(name=name, daemon=True)
        self.outcomes: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self.other_release = 0
        self._arguments = arguments
        self._environ = environ
        self._pause = pause
        self._migrating = migrating
        self._ended = threading.Event()

    def run(self) -> None:
        """Run it, and keep what it says."""
        while not self._ended.is_set():
            done = tallymark(self._arguments, self._environ)
            if done.returncode == 0:
                self.outcomes.append(json.loads(done.stdout))
            elif NOT_INSTALLED in done.stderr and self._migrating.is_set():
                self.other_release += 1
            else:
                self.failures.append((done.stderr.strip() or done.stdout.strip())[-300:])
            self._ended.wait(self._pause)

    def end(self) -> None:
        """Let the run that is under way end, and begin no other."""
        self._ended.set()
        self.join()


def tallymark(arguments: tuple[str, ...], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the product's.

    Returns:
        How it ended, and what it said.
    """
    command = bound_to_us([*_TALLYMARK, *arguments], signal.SIGKILL)
    return subprocess.run(command, cwd=_ROOT, env=environ, capture_output=True, text=True, check=False)


@click.command()
@click.option("--minutes", type=click.IntRange(2), default=10, show_default=True, help="How many parts.")
@click.option("--seconds", type=click.IntRange(2), default=60, show_default=True, help="How long each part is.")
def main(*, minutes: int, seconds: int) -> None:
    """Load everything at once for ten minutes, and say what came of it."""
    with tempfile.TemporaryDirectory(prefix="tallymark-soak-") as directory:
        faults = _soak(Path(directory), minutes, seconds)
    for fault in faults:
        click.secho(fault, fg="red")
    sys.exit(1 if faults else 0)


def _soak(directory: Path, minutes: int, seconds: int) -> list[str]:
    token = secrets.token_urlsafe(24)
    with ExitStack() as running:
        primary = running.enter_context(EmbeddedPostgres(directory / "primary"))
        migrate(primary.url, report=lambda _line: None)
        connection = running.enter_context(psycopg.connect(primary.url, autocommit=True))
        database = Database(primary.url, connection, filesystem(directory))
        database.run_file("schema.sql")
        database.value("SELECT bench.make_jobs(%s, %s)", _PREFIX, JOBS)
        replica = running.enter_context(standby(primary, directory / "replica"))
        environ = os.environ | {
            "DATABASE_URL": primary.url,
            "DATABASE_READ_URL": replica.url,
            "CRAWLER_API_TOKEN": token,
            "TALLYMARK_LOG_LEVEL": "warning",
        }
        server = running.enter_context(serving(PRODUCT, environ))
        sizes = (JOBS, JOB_PAGES, OVERVIEW_PAGES)
        crowd = running.enter_context(open_crowd(server, _PREFIX, token, sizes, kind="parse"))
        crowd.ask("open")
        watchdog = running.enter_context(_watching(environ))
        migrating = threading.Event()
        chores = [
            Chore("prune", _PRUNE, environ, seconds / 6, migrating),
            Chore("verify", ("verify", "--json"), environ, 1.0, migrating),
        ]
        for chore in chores:
            chore.start()
        before = int(database.value("SELECT sum(last_seq) FROM tallymark.job"))
        parts: list[Minute] = []
        migrated: list[str] = []
        for number in range(1, minutes + 1):
            if number == minutes // 2 + 1:
                arguments = (environ, seconds, migrating, migrated)
                threading.Thread(target=_migrate_again, args=arguments, daemon=True).start()
            load = Load(server.url + PATH, token, _PREFIX, JOBS)
            parts.append(_minute(database, load, server, directory, seconds))
            _tell(number, parts[-1])
        for chore in chores:
            chore.end()
        lag = _wait_for_replica(database, replica)
        click.echo(f"pages: {crowd.ask('tell')['messages']:,} messages; the replica caught up in {lag:.1f} s")
        click.echo(f"migration: {'; '.join(migrated) or 'did not end'}")
        faults = [*_faults(database, parts, chores, before, minutes // 2), *_ended_badly(watchdog)]
        if len(migrated) != 2:
            faults.append("the migration was not taken back and applied")
    return faults


@contextmanager
def _watching(environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a watchdog running."""
    command = bound_to_us([*_TALLYMARK, "watchdog", "--interval", "5"], signal.SIGKILL)
    with subprocess.Popen(command, cwd=_ROOT, env=environ, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def _ended_badly(watchdog: subprocess.Popen[bytes]) -> list[str]:
    return [] if watchdog.poll() is None else [f"the watchdog ended with {watchdog.returncode}"]


def _migrate_again(environ: dict[str, str], seconds: int, migrating: threading.Event, told: list[str]) -> None:
    """Take the newest migration back, and apply it again, in the middle of a part."""
    time.sleep(seconds / 4)
    migrating.set()
    for arguments in (("rollback", "--steps", "1", "--yes"), ("migrate",)):
        began = time.monotonic()
        done = tallymark(arguments, environ)
        if done.returncode == 0:
            told.append(f"{arguments[0]} took {time.monotonic() - began:.1f} s")
        else:
            click.secho(f"{arguments[0]} failed: {done.stderr.strip()}", fg="red", err=True)
            return
    # A command that began before may be about to end.
    time.sleep(1)
    migrating.clear()


def _minute(database: Database, load: Load, server: Server, directory: Path, seconds: int) -> Minute:
    answers = load.run(CONNECTIONS, seconds - 2)
    return Minute(
        answers,
        megabytes(server.worker),
        *_postgres_megabytes(directory),
        int(database.value("SELECT sum(last_seq - pruned_seq) FROM tallymark.job")),
    )


def _postgres_megabytes(directory: Path) -> tuple[float, float]:
    """Return the memory of the two servers: what their processes have for themselves, and what they share."""
    own = shared = 0
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            try:
                if str(directory) in " ".join(process.cmdline()) or any(
                    str(directory) in " ".join(parent.cmdline()) for parent in process.parents()
                ):
                    memory = process.memory_full_info()
                    own += memory.uss
                    shared += memory.pss - memory.uss
            except psutil.Error:
                continue
    return own / 1e6, shared / 1e6


def _tell(number: int, part: Minute) -> None:
    answers = part.answers
    unanswered = answers.sent - answers.good - answers.later - answers.other
    click.echo(
        f"part {number:2}: {answers.per_second:6,.0f} updates/s, p99 {answers.p99_ms:6.1f} ms, "
        f"{answers.later + answers.other} refused, {unanswered} unanswered, {answers.errors} broken; "
        f"server {part.server:.0f} MB, PostgreSQL {part.postgres:.0f} MB and {part.buffers:.0f} MB of shared buffers, "
        f"{part.events:,} events kept"
    )


def _wait_for_replica(database: Database, replica: EmbeddedPostgres) -> float:
    """Wait until the replica has all that was written; return how long it took, in seconds."""
    written = database.value("SELECT pg_current_wal_lsn()::text")
    began = time.monotonic()
    with psycopg.connect(replica.url, autocommit=True) as connection:
        while time.monotonic() < began + 60:
            row = connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [written]).fetchone()
            if row and row[0]:
                return time.monotonic() - began
            time.sleep(0.01)
    raise BenchmarkError("the replica does not catch up")


def _faults(database: Database, parts: list[Minute], chores: list[Chore], before: int, migrating: int) -> list[str]:
    """Say what came of it all, and give what should not have; `migrating` is the part with the migration."""
    first, last = parts[0], parts[-1]
    good = sum(part.answers.good for part in parts)
    later = parts[migrating].answers.later
    bad = sum(part.answers.sent - part.answers.good + part.answers.errors for part in parts) - later
    click.echo(f"answered 503 with Retry-After in the part in which the migration was taken back: {later:,}")
    kept, pruned, wrong = database.connection.execute(
        "SELECT sum(last_seq), sum(pruned_seq), count(*) FILTER (WHERE NOT tallymark.verify_job(id)) FROM tallymark.job"
    ).fetchone() or (0, 0, 0)
    prune, verify = chores
    seconds = sum(part.answers.seconds for part in parts)
    click.echo(
        f"{good:,} updates acknowledged in {seconds:.0f} s, {good / seconds / JOBS:.1f}/s for each of {JOBS} jobs; "
        f"in the ledgers: {int(kept) - before:,}, of which {int(pruned):,} pruned in {len(prune.outcomes)} runs"
    )
    click.echo(
        f"p99 of the last part / of the first: {last.answers.p99_ms / first.answers.p99_ms:.2f}; "
        f"memory of the server {last.server / first.server:.2f}, of PostgreSQL {last.postgres / first.postgres:.2f} "
        f"and {last.buffers / first.buffers:.2f} of shared buffers"
    )
    checked = sum(outcome["checked"] for outcome in verify.outcomes)
    click.echo(
        f"verified under load: {checked:,} times a job, in {len(verify.outcomes)} rounds; in the end {wrong} differ"
    )
    click.echo(f"runs of prune and verify that ended then: {prune.other_release} and {verify.other_release}")
    faults = [f"{chore.name}: {failure}" for chore in chores for failure in chore.failures]
    if bad:
        example = next((part.answers.example for part in parts if part.answers.example), "")
        faults.append(f"{bad} updates were not answered 200 {example}")
    if int(kept) - before != good:
        faults.append(f"the ledgers have {int(kept) - before - good:+,} updates")
    if wrong:
        faults.append(f"{wrong} jobs do not verify")
    if not prune.outcomes or not verify.outcomes:
        faults.append("prune or verify did not end once")
    return faults


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.soak")
