"""The command: `python -m benchmarks`, or `make bench`."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TextIO

import click
import psycopg

from benchmarks.advancing import NAMES as ADVANCES, advancing
from benchmarks.against import NAMES as BEFORE, SLOW_NAMES, against_before, slow_disk
from benchmarks.batches import batch_of_50, batch_of_1000
from benchmarks.citus import NAMES as CITUS, citus
from benchmarks.database import Database, database
from benchmarks.endpoint import NAMES as ENDPOINT, endpoint, hot_endpoint
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Plan, Say, machine
from benchmarks.first_paint import NAMES as PAINTS, first_paint
from benchmarks.groups import NAMES as GROUPS, group_vs_floor
from benchmarks.histories import against_seed_design, long_history
from benchmarks.items import keys_vs_counts, unseen
from benchmarks.listing import job_list
from benchmarks.merges import hot_job, merge_vs_floor
from benchmarks.report import save, table
from benchmarks.sql_before import NAMES as SQL_BEFORE, sql_before
from benchmarks.tracking import tracking
from benchmarks.trees import commit_of
from benchmarks.viewers import viewers, viewers_merge
from benchmarks.waits import HALF_NAMES, HELD_NAMES, half_bodies, held_job
from tallymark.schema.migrate import MigrationError
from tallymark.server import EmbeddedPostgresError
from tallymark.server.granian import WebServerError


class Benchmark(NamedTuple):
    """A benchmark, and the names of the figures that one run of it gives."""

    names: tuple[str, ...]
    run: Callable[[Database, Plan, Say], list[Figure]]


BENCHMARKS = (
    Benchmark(("merge_vs_floor", "hot_updates"), merge_vs_floor),
    Benchmark(("hot_job",), hot_job),
    Benchmark(("keys_50",), keys_vs_counts),
    Benchmark(("unseen",), unseen),
    Benchmark(GROUPS, group_vs_floor),
    Benchmark(("long_history",), long_history),
    Benchmark(("against_seed_design",), against_seed_design),
    Benchmark(("batch_50",), batch_of_50),
    Benchmark(("batch_1000",), batch_of_1000),
    Benchmark(("job_list_first", "job_list_deep"), job_list),
    Benchmark(ENDPOINT, endpoint),
    Benchmark(("hot_endpoint",), hot_endpoint),
    Benchmark(BEFORE, against_before),
    Benchmark(SLOW_NAMES, slow_disk),
    Benchmark(SQL_BEFORE, sql_before),
    Benchmark(CITUS, citus),
    Benchmark(HELD_NAMES, held_job),
    Benchmark(HALF_NAMES, half_bodies),
    Benchmark(("track", "track_id", "track_bar", "track_bar_id"), tracking),
    Benchmark(ADVANCES, advancing),
    Benchmark(
        ("viewers_seen", "viewers_p95", "viewers_p95_overview", "viewers_memory", "viewers_cpu"),
        viewers,
    ),
    Benchmark(("viewers_merge", "viewers_merge_sink"), viewers_merge),
    Benchmark(PAINTS, first_paint),
)
NAMES = tuple(name for benchmark in BENCHMARKS for name in benchmark.names)
#: Names for all figures of a benchmark.
TOGETHER = {"citus": CITUS, "sql_before": SQL_BEFORE}

_NAME = click.Choice((*NAMES, *TOGETHER))
#: Opened at once: a file that cannot be written is better known before the measuring than after it.
_FILE = click.File("w", encoding="utf-8", lazy=False)
_QUICK = Plan(seconds=1, pairs=2, quick=True)
#: What a machine or a server may be lacking; all else is a defect, and shows its traceback.
_FAILURES = (BenchmarkError, EmbeddedPostgresError, MigrationError, WebServerError, psycopg.Error)


@click.command()
@click.option("--quick", is_flag=True, help="Short slices on a tenth of the data: shows that the harness works.")
@click.option("--only", type=_NAME, multiple=True, metavar="NAME...", help=f"Some of {', '.join((*NAMES, *TOGETHER))}.")
@click.argument("more", type=_NAME, nargs=-1, metavar="")
@click.option("--seconds", type=click.IntRange(1), help="Length of a slice; 5 by default, with --quick 1.")
@click.option(
    "--before",
    metavar="COMMIT",
    help="Also measure this tree's endpoint against that of another commit of this checkout.",
)
@click.option("--json", "file", type=_FILE, metavar="FILE", help="Write everything that was measured to this file.")
def main(
    *,
    quick: bool,
    only: tuple[str, ...],
    more: tuple[str, ...],
    seconds: int | None,
    before: str | None,
    file: TextIO | None,
) -> None:
    """Measure Tallymark, and print ratios. A missed goal is printed, and is no failure.

    The server is an embedded one with the settings that Tallymark gives it, in a temporary directory; or that of
    DATABASE_URL, where a database is made for this and dropped again.
    """
    plan = _QUICK if quick else Plan()
    wanted = tuple(each for name in (*only, *more) for each in TOGETHER.get(name, (name,))) or NAMES
    plan = replace(plan, seconds=seconds or plan.seconds, wanted=frozenset(wanted), before=_commit(before))
    around = machine()
    figures: list[Figure] = []
    try:
        with database(os.environ.get("DATABASE_URL") or None, _say("benchmarks")) as made:
            around |= made.describe()
            for benchmark in BENCHMARKS:
                if not set(benchmark.names) & set(wanted):
                    continue
                for figure in benchmark.run(made, plan, _say(benchmark.names[0])):
                    if figure.name in wanted:
                        figures.append(figure)
                        click.echo(figure.line)
    except _FAILURES as error:
        raise click.ClickException(str(error).strip()) from error
    table(figures, plan, around)
    missing = sorted(set(wanted) - {figure.name for figure in figures}, key=wanted.index)
    if missing:
        click.echo(f"NOT MEASURED, for reasons that stand above: {', '.join(missing)}")
    if file is not None:
        save(file, figures, plan, around)


def _commit(name: str | None) -> str | None:
    try:
        return None if name is None else commit_of(name)
    except BenchmarkError as error:
        raise click.BadParameter(str(error), param_hint="--before") from error


def _say(name: str) -> Say:
    start = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - start:6.1f} s  {name}: {line}", err=True)

    return say


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
