"""Runs every file of sql/tests and reports each of its promises as a test of its own."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tap.line import Bail, Diagnostic, Plan, Result
from tap.parser import Parser

from tallymark.server.cluster import bin_dir

#: All files share one database and leave nothing in it.
pytestmark = pytest.mark.quick

FILES = Path(__file__).parents[2] / "sql" / "tests"
#: Less than pytest's own limit, so that the message names a file that hangs.
FILE_SECONDS = 100


@dataclass
class Outcome:
    """A file's results, each with the diagnostics after it, and the problems of the file as a whole."""

    results: list[tuple[Result, list[str]]] = field(default_factory=list)
    planned: int | None = None
    skipped: str | None = None
    problems: list[str] = field(default_factory=list)


def read(output: str) -> Outcome:
    """Read the output of a pgTAP file."""
    outcome = Outcome()
    for line in Parser().parse_text(output):
        if isinstance(line, Plan):
            outcome.planned = line.expected_tests
            outcome.skipped = line.directive.reason if line.skip else None
        elif isinstance(line, Result):
            outcome.results.append((line, []))
        elif isinstance(line, Diagnostic) and outcome.results:
            outcome.results[-1][1].append(line.text)
        elif isinstance(line, Bail):
            outcome.problems.append(f"bailed out: {line.reason}")
    if outcome.planned is None:
        outcome.problems.append("no plan")
    elif outcome.planned != len(outcome.results):
        outcome.problems.append(f"planned {outcome.planned} tests, ran {len(outcome.results)}")
    return outcome


def judge(result: Result, diagnostics: list[str]) -> None:
    """Pass, fail, skip or expect to fail, as a line of TAP says."""
    text = "\n".join([result.description, *diagnostics])
    if result.skip:
        pytest.skip(result.directive.reason or "skipped by the file")
    if result.todo:
        # A TODO that passes must lose its mark.
        assert not result.ok, f"is marked as still to do, and holds: {text}"
        pytest.xfail(result.directive.reason or "still to do")
    assert result.ok, text


@pytest.fixture(scope="session")
def run(pgtap_url: str, psql_environment: dict[str, str]) -> Callable[[Path], Outcome]:
    """Runs one file and reads what it prints."""
    return lambda path: run_file(path, pgtap_url, psql_environment)


def run_file(path: Path, url: str, environment: dict[str, str]) -> Outcome:
    """Run one file through the psql that comes with the embedded server."""
    command = [str(bin_dir() / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", str(path), url]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=FILE_SECONDS, env=environment, encoding="utf-8"
    )
    outcome = read(done.stdout)
    if done.returncode != 0:
        outcome.problems.insert(0, f"psql failed: {done.stderr.strip()}")
    return outcome


@pytest.mark.parametrize("name", sorted(str(path.relative_to(FILES)) for path in FILES.rglob("*.sql")))
def test_sql(name: str, run: Callable[[Path], Outcome], subtests: pytest.Subtests) -> None:
    """Every promise of the file holds, and there are as many as planned."""
    outcome = run(FILES / name)
    for result, diagnostics in outcome.results:
        with subtests.test(result.description.removeprefix("- ")):
            judge(result, diagnostics)
    assert not outcome.problems, "\n".join(outcome.problems)
    if outcome.skipped is not None and not outcome.results:
        pytest.skip(outcome.skipped)


@pytest.mark.parametrize(
    ("body", "kinds", "problem"),
    [
        ("SELECT plan(1); SELECT pass('a'); SELECT * FROM finish();", ["passed"], None),
        ("SELECT plan(1); SELECT fail('a # b'); SELECT * FROM finish();", ["failed"], None),
        ("SELECT plan(1); SELECT skip('why', 1); SELECT * FROM finish();", ["skipped"], None),
        ("SELECT plan(1); SELECT todo('why', 1); SELECT fail('a'); SELECT * FROM finish();", ["expected"], None),
        ("SELECT plan(1); SELECT todo('why', 1); SELECT pass('a'); SELECT * FROM finish();", ["failed"], None),
        ("SELECT plan(2); SELECT pass('a'); SELECT * FROM finish();", ["passed"], "planned 2 tests, ran 1"),
        ("SELECT plan(1); SELECT pass('a'); SELECT pass('b'); SELECT * FROM finish();", ["passed"] * 2, "ran 2"),
        ("SELECT plan(2); SELECT pass('a'); SELECT 1/0;", ["passed"], "division by zero"),
        ("SELECT pg_catalog.now();", [], "no plan"),
    ],
)
def test_no_way_to_fail_goes_unseen(
    body: str, kinds: list[str], problem: str | None, tmp_path: Path, run: Callable[[Path], Outcome]
) -> None:
    """A failed line, a wrong plan and an SQL error are failures; skip and TODO keep their meaning."""
    path = tmp_path / "file.sql"
    path.write_text(f"BEGIN;\nSET LOCAL search_path = tap, public;\n{body}\nROLLBACK;\n", encoding="utf-8")
    outcome = run(path)
    assert [kind_of(result) for result, _ in outcome.results] == kinds
    assert bool(outcome.problems) == (problem is not None)
    assert (problem or "") in "\n".join(outcome.problems)


def kind_of(result: Result) -> str:
    """Name what `judge` does with a line."""
    try:
        judge(result, [])
    except AssertionError:
        return "failed"
    except pytest.skip.Exception:
        return "skipped"
    except pytest.xfail.Exception:
        return "expected"
    return "passed"
