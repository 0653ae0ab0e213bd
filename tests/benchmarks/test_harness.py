"""The benchmarks' harness: how it computes, and that it runs. Measured values never make a test fail."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
from benchmarks.__main__ import BENCHMARKS, NAMES, TOGETHER
from benchmarks.citus import NAMES as CITUS
from benchmarks.cpu import Cpu, details, line
from benchmarks.database import Database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Goal, Plan
from benchmarks.pgbench import parse
from benchmarks.ratios import Comparison, Spread, compare
from benchmarks.sql_before import NAMES as SQL_BEFORE

ROOT = Path(__file__).parents[2]

REPORT = """pgbench (18.6)
transaction type: benchmarks/sql/merge.sql
number of transactions actually processed: 17250
number of failed transactions: {failed} (0.000%)
latency average = 2.318 ms
initial connection time = 21.570 ms
tps = 3451.327710 (without initial connection time)
"""


def test_the_figure_is_the_median_of_the_ratios_and_not_the_ratio_of_the_medians() -> None:
    """A pair that was measured while the machine was busy counts by its ratio, not by its speeds."""
    comparison = Comparison(Spread((80.0, 8.0, 60.0)), Spread((100.0, 10.0, 100.0)))
    assert comparison.ratios.values == (0.8, 0.8, 0.6)
    assert comparison.ratios.median == 0.8
    assert (comparison.ratios.low, comparison.ratios.high) == (0.6, 0.8)
    assert comparison.speeds == "60/s against 100/s"


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    """It is their mean."""
    assert Spread((4.0, 1.0, 3.0, 2.0)).median == 2.5


def test_the_sides_take_turns_after_a_warm_up_that_does_not_count() -> None:
    """A B, then A B A B and so on."""
    turns: list[str] = []

    def side(name: str, speed: float) -> float:
        turns.append(name)
        return 1e9 if len(turns) <= 2 else speed

    lines: list[str] = []
    comparison = compare(lambda n: side(f"a{n}", 30.0), lambda n: side(f"b{n}", 40.0), 3, lines.append)
    assert turns == ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"]
    assert comparison.ratios.values == (0.75, 0.75, 0.75)
    assert lines == ["warming up", *(f"pair {n} of 3: 30/s against 40/s is 0.750" for n in (1, 2, 3))]


def test_nothing_measured_is_no_figure() -> None:
    """A side without its counterpart gives no figure either."""
    with pytest.raises(ValueError, match="at least one"):
        Spread(())
    with pytest.raises(ValueError, match="as many"):
        Comparison(Spread((1.0,)), Spread((1.0, 2.0)))


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (Goal(0.80), 0.80, "goal >= 0.80 met"),
        (Goal(0.80), 0.799, "goal >= 0.80 missed"),
        (Goal(200, at_most=True), 199.9, "goal < 200 met"),
        (Goal(200, at_most=True), 200.0, "goal < 200 missed"),
    ],
)
def test_a_verdict_is_on_the_value_before_rounding(goal: Goal, value: float, verdict: str) -> None:
    """0.799 is printed as 0.80, and is less."""
    assert goal.verdict(value) == verdict


def test_a_figure_has_a_line_for_machines() -> None:
    """Its name, a blank, two decimals."""
    figure = Figure("merge_vs_floor", "what", Spread((0.70, 0.714, 0.9)), Goal(0.80))
    assert figure.line == "merge_vs_floor 0.71"
    assert figure.as_json()["verdict"] == "goal >= 0.80 missed"
    assert Figure("hot_job", "what", Spread((0.5,))).verdict == "no goal"


def test_other_units_are_shown_as_told() -> None:
    """Times in milliseconds, for example."""
    lines: list[str] = []
    comparison = compare(lambda _n: 30.0, lambda _n: 40.0, 1, lines.append, "{:,.1f} ms")
    assert comparison.speeds == "30.0 ms against 40.0 ms"
    assert lines[-1] == "pair 1 of 1: 30.0 ms against 40.0 ms is 0.750"


def test_only_what_was_asked_for_is_measured() -> None:
    """Everything, where nothing was named."""
    assert Plan().wants("endpoint_64")
    assert Plan(wanted=frozenset({"endpoint_16", "endpoint_64"})).wants("endpoint_64", "endpoint_p99_200")
    assert not Plan(wanted=frozenset({"endpoint_16"})).wants("endpoint_64")


def test_what_an_update_costs_is_shown_by_its_medians() -> None:
    """The file has every slice; a server on another machine has no costs that can be read here."""
    used = [Cpu(2.0, 3.0).each(Cpu(1.0, 1.0), 10_000), Cpu(4.0, 5.0).each(Cpu(1.0, 1.0), 10_000)]
    assert line("real", used) == "CPU an update, real: web 200 us, PostgreSQL 300 us"
    assert details("real", used) == {"real_web_us": (100.0, 300.0), "real_postgres_us": (200.0, 400.0)}
    alone = [Cpu(2.0, None).each(Cpu(1.0, None), 10_000)]
    assert line("empty", alone) == "CPU an update, empty: web 100 us"
    assert details("empty", alone) == {"empty_web_us": (100.0,)}


def test_a_quick_plan_takes_a_tenth_of_the_data() -> None:
    """And at least one of each kind."""
    assert Plan().size(10_000) == 10_000
    assert Plan(quick=True).size(10_000) == 1_000
    assert Plan(quick=True).size(5) == 1


def test_what_pgbench_prints_is_read() -> None:
    """Speed and number; failed transactions are a failure of the benchmark."""
    outcome = parse(REPORT.format(failed=0))
    assert (outcome.transactions, outcome.per_second) == (17250, 3451.32771)
    with pytest.raises(BenchmarkError, match="3 transactions failed"):
        parse(REPORT.format(failed=3))
    with pytest.raises(BenchmarkError, match="no figures"):
        parse("pgbench (18.6)")


@pytest.mark.parametrize("names", [CITUS, SQL_BEFORE])
def test_what_needs_something_that_is_not_there_is_not_measured_and_says_so(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster of Citus, a commit to compare with: neither is a failure."""
    monkeypatch.delenv("CITUS_URL", raising=False)
    [benchmark] = [each for each in BENCHMARKS if each.names == names]
    said: list[str] = []
    nowhere = Database("postgresql:///nowhere", None, "")  # type: ignore[arg-type]  # nothing is asked of it
    assert benchmark.run(nowhere, Plan(), said.append) == []
    assert [line.partition(":")[0] for line in said] == ["NOT MEASURED"]


@pytest.mark.parametrize(("together", "names"), TOGETHER.items())
def test_a_name_for_several_figures_is_none_of_their_names(together: str, names: tuple[str, ...]) -> None:
    """It stands for all figures that begin with it."""
    assert together not in NAMES
    assert names == tuple(name for name in NAMES if name.startswith(f"{together}_"))


def run(*arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the benchmarks as people do."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def without_database() -> dict[str, str]:
    """Our environment without a database, so that the embedded server is used."""
    return {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_quick_run_prints_its_lines(tmp_path: Path) -> None:
    """On an embedded server of its own, with durable settings; a missed goal is no failure."""
    file = tmp_path / "figures.json"
    done = run("--quick", "--only", "merge_vs_floor", "hot_updates", "--json", str(file), environ=without_database())
    assert done.returncode == 0, done.stderr
    assert re.search(r"^merge_vs_floor \d+\.\d\d$", done.stdout, re.MULTILINE)
    assert re.search(r"^hot_updates [01]\.\d\d$", done.stdout, re.MULTILINE)
    assert re.search(r"goal >= 0\.80 (met|missed)", done.stdout)
    assert re.search(r"goal >= 0\.95 (met|missed)", done.stdout)
    assert "verify_job is true for 100 of 100 jobs" in done.stdout
    # The table is as wide as the terminal, so words may stand on the next line.
    assert "fsync on, synchronous_commit on" in " ".join(done.stdout.split())
    assert "pair 2 of 2" in done.stderr
    written = json.loads(file.read_text(encoding="utf-8"))
    assert [figure["name"] for figure in written["figures"]] == ["merge_vs_floor", "hot_updates"]
    assert all(len(figure["runs"]) == 2 for figure in written["figures"])


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_given_server_is_left_as_it_was(empty_url: str) -> None:
    """The benchmarks make a database of their own there, and drop it."""
    done = run("--quick", "--only", "hot_job", environ={**os.environ, "DATABASE_URL": empty_url})
    assert done.returncode == 0, done.stderr
    assert re.search(r"^hot_job \d+\.\d\d$", done.stdout, re.MULTILINE)
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT FROM pg_namespace WHERE nspname = 'tallymark'").fetchone() is None
        query = "SELECT FROM pg_database WHERE starts_with(datname, 'tallymark_bench_')"
        assert connection.execute(query).fetchone() is None


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_every_acknowledged_update_of_the_endpoint_is_counted() -> None:
    """The harness checks this itself and reports a difference."""
    done = run("--quick", "--only", "endpoint", environ=without_database())
    assert done.returncode == 0, done.stderr
    assert "which is the same" in done.stdout
    assert "other answers: 0; unanswered: 0; broken connections: 0" in done.stdout
    assert "verify_job is true for 50 of 50 jobs" in done.stdout


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["hot_endpoint", "endpoint_64"])
def test_what_the_endpoint_costs_is_measured(name: str, tmp_path: Path) -> None:
    """For each update: CPU time of the web server and of PostgreSQL."""
    file = tmp_path / "figures.json"
    done = run("--quick", "--only", name, "--json", str(file), environ=without_database())
    assert done.returncode == 0, done.stderr
    assert re.search(r"CPU an update, .*: web \d+ us, PostgreSQL \d+ us", done.stdout)
    [figure] = json.loads(file.read_text(encoding="utf-8"))["figures"]
    assert figure["name"] == name
    costs = {key: values for key, values in figure["details"].items() if key.endswith("_us")}
    assert len(costs) >= 3
    assert all(value > 0 for values in costs.values() for value in values)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["held_job_p99", "held_job_prepared_p99", "half_bodies_p99"])
def test_every_update_beside_a_hindrance_is_counted(name: str) -> None:
    """Whatever they had to wait: the harness compares what was acknowledged with the ledgers."""
    done = run("--quick", "--only", name, environ=without_database())
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^{name} \d+\.\d\d$", done.stdout, re.MULTILINE)
    assert "never acknowledged 0: exact" in " ".join(done.stdout.split())
    assert "NOT EXACT" not in done.stdout


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_groups_are_measured_where_the_schema_has_them() -> None:
    """Elsewhere the output says that they are not."""
    done = run("--quick", "--only", "group_vs_floor", "group_8_vs_floor", environ=without_database())
    assert done.returncode == 0, done.stderr
    if "NOT MEASURED" not in done.stdout:
        assert re.search(r"^group_vs_floor \d+\.\d\d$", done.stdout, re.MULTILINE)
        assert done.stdout.count("verify_job is true for 100 of 100 jobs") == 2


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """Before anything is started."""
    done = run("--only", "speed", environ=without_database())
    assert done.returncode == 2
    assert "merge_vs_floor" in done.stderr
