"""The OpenAPI document is true: schemathesis sends valid and invalid requests made from it, and judges the answers."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tallymark.web.pages.openapi import document_file

if TYPE_CHECKING:
    from tests.web.conftest import Web

StartWeb = Callable[..., "Web"]

#: Most requests are for these, so that most answers are not merely 404.
_JOBS = ["job_a", "job_b", "job_c", "0", "a/b", "ünï ✓", "x/timeline"]
_CONFIG = """
base-url = "http://127.0.0.1:{port}"
hooks = "tests.web.schemathesis_hooks"
continue-on-failure = true
warnings = false
workers = 1
seed = {seed}
suppress-health-check = ["all"]

[cache]
enabled = false

[headers]
Authorization = "Bearer crawler-token"

[generation]
mode = "all"
max-examples = {examples}
# A document cannot say that no string has the character 0; test_bad_input has that.
allow-x00 = false

[checks.positive_data_acceptance]
expected-statuses = ["200", "201", "304", "404", "409"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "404", "405", "409", "411", "413", "415"]
"""


def _known_jobs_only() -> dict[str, Any]:
    """Return the document with the ids of existing jobs in place of any id."""
    document: dict[str, Any] = json.loads(document_file().read_bytes())
    components = document["components"]
    ids = {"type": "string", "enum": _JOBS}
    components["parameters"]["JobId"]["schema"] = ids
    components["schemas"]["Update"]["properties"]["taskId"] = ids
    return document


class Runs:
    """Runs of schemathesis against one server."""

    def __init__(self, web: "Web", directory: Path, say: Callable[[str, object], None]) -> None:
        """Register the jobs."""
        self._say = say
        self._web = web
        self._directory = directory
        self._counts = directory / "counts"
        self._counts.touch()
        for job_id in _JOBS:
            assert web.register(job_id).status == 201

    def run(self, document: dict[str, Any], phases: str, *, examples: int, seed: int) -> None:
        """Test a document; fail if the document or the server is wrong."""
        place = self._directory / "openapi.json"
        place.write_text(json.dumps(document))
        config = self._directory / "schemathesis.toml"
        config.write_text(_CONFIG.format(port=self._web.port, seed=seed, examples=examples))
        root = Path(__file__).parents[2]
        known = "enum" in document["components"]["parameters"]["JobId"]["schema"]
        environ = {
            **os.environ,
            "PYTHONPATH": str(root),
            "TALLYMARK_TEST_COUNTS": str(self._counts),
            "TALLYMARK_TEST_JOBS": json.dumps(_JOBS if known else []),
        }
        done = subprocess.run(
            [Path(sys.executable).parent / "st", "--config-file", config, "run", place, "--phases", phases],
            cwd=self._directory,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        defects = [line for line in self._web.log.read_text().splitlines() if " ERROR " in line]
        assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *defects])

    def counts(self) -> tuple[Counter[str], Counter[str]]:
        """Print what was sent; return how many requests had each status, and how many of each operation had 2xx."""
        statuses: Counter[str] = Counter()
        good: Counter[str] = Counter()
        for line in self._counts.read_text().splitlines():
            operation, mode, status = line.split("\t")
            statuses[f"{mode} {status}"] += 1
            good[operation] += status.startswith("2")
        sent = statuses.total()
        share = good.total() / sent
        self._say("figure", f"{sent} requests, {share:.0%} answered 2xx: {dict(sorted(statuses.items()))}")
        return statuses, good


@pytest.fixture
def runs(start_web: StartWeb, db_url: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> Runs:
    """Runs against a server that only this test has."""
    return Runs(start_web(db_url), tmp_path, record_property)


def test_a_few_hundred_requests_find_nothing_that_the_document_does_not_say(runs: Runs) -> None:
    """No 5xx, no undescribed answer, no valid request refused and no invalid one accepted."""
    runs.run(_known_jobs_only(), "examples,coverage,fuzzing", examples=10, seed=1)
    statuses, good = runs.counts()
    assert statuses.total() > 500
    paths = json.loads(document_file().read_bytes())["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {label for label, count in good.items() if count} >= operations, "an operation that never succeeded"


@pytest.mark.deep
@pytest.mark.timeout(3600)
def test_twenty_thousand_requests_find_nothing_that_the_document_does_not_say(runs: Runs) -> None:
    """The same with any ids, sequences of calls, and other data in each run."""
    seed = int.from_bytes(os.urandom(3))
    for number in range(10):
        runs.run(_known_jobs_only(), "examples,coverage,fuzzing,stateful", examples=150, seed=seed + number)
        runs.run(json.loads(document_file().read_bytes()), "fuzzing", examples=50, seed=seed + number)
        statuses, good = runs.counts()
        if statuses.total() >= 20_000:
            break
    assert statuses.total() >= 20_000
    assert good.total() >= 0.3 * statuses.total()
