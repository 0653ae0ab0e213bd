"""The endpoint's own figures about its requests."""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.watching import wait_until

from tallymark.functions.tokens import create_token
from tallymark.web.telemetry.counters import BUCKETS, percentile

if TYPE_CHECKING:
    from tests.web.conftest import Web

PROGRESS = "/api/internal/jobs/progress"


def _measured(web: "Web") -> dict[tuple[str, str], dict[str, Any]]:
    answer = web.call("GET", "/api/internal/endpoint")
    assert answer.status == 200
    return {(route["route"], route["method"]): route for route in answer.json["routes"]}


def test_requests_are_counted_by_route_and_outcome(start_web: Callable[..., "Web"], db_url: str) -> None:
    """Independent of the job; refused ones are counted separately."""
    web = start_web(db_url)
    began = web.call("GET", "/api/internal/endpoint").json["since"]
    assert abs(time.time() - datetime.fromisoformat(began).timestamp()) < 600
    for job in ("one", "two", "a/b"):
        assert web.register(job).status == 201
        assert web.call("GET", f"/api/internal/jobs/{job}").status == 200
    assert web.report({"taskId": "one"}).status == 400
    assert web.report({"taskId": "one"}, token="wrong").status == 401
    assert web.call("GET", "/api/internal/jobs/none").status == 404
    routes = _measured(web)
    asked = {key: [routes[key][name] for name in ("requests", "errors4xx", "errors5xx")] for key in routes}
    assert asked["/api/internal/jobs", "POST"] == [3, 0, 0]
    assert asked["/api/internal/jobs/{id}", "GET"] == [4, 1, 0]
    assert asked[PROGRESS, "POST"] == [2, 2, 0]
    for route in routes.values():
        assert 0 < route["p50"] <= route["p95"] <= route["p99"] <= 10
    assert web.call("GET", "/api/internal/endpoint").json["since"] == began


def test_it_is_counted_how_many_updates_share_a_call(start_web: Callable[..., "Web"], db_url: str) -> None:
    """Updates and calls, one each where nobody waits; batches are not among them."""
    web = start_web(db_url)
    assert web.call("GET", "/api/internal/endpoint").json["groups"] == {"calls": 0, "updates": 0}
    web.register("one")
    update = {"taskId": "one", "status": "processing", "timestamp": "2025-01-06T19:15:30Z"}
    assert [web.report(update).status for _ in range(3)] == [200] * 3
    assert web.report([update, update]).status == 200
    assert web.call("GET", "/api/internal/endpoint").json["groups"] == {"calls": 3, "updates": 3}
    metrics = web.call("GET", "/metrics").body.decode()
    assert 'tallymark_merge_group_size_bucket{le="1.0"} 3.0' in metrics
    assert "tallymark_merge_group_size_sum 3.0" in metrics


def test_a_database_that_is_away_shows_as_errors(start_web: Callable[..., "Web"]) -> None:
    """5xx answers are counted as errors."""
    web = start_web("postgresql://nobody@127.0.0.1:1/none", TALLYMARK_POOL_TIMEOUT="0.1")
    assert web.report({"taskId": "one"}).status == 503
    route = _measured(web)[PROGRESS, "POST"]
    assert (route["requests"], route["errors4xx"], route["errors5xx"]) == (1, 0, 1)


def test_what_clients_make_up_takes_no_place_of_its_own(start_web: Callable[..., "Web"], db_url: str) -> None:
    """Unknown paths and methods are counted together, however many there are."""
    web = start_web(db_url)
    for number in range(5):
        web.call("GET", f"/nothing/{number}")
        web.call(f"MAKE{number}", PROGRESS)
    routes = _measured(web)
    assert {key: route["requests"] for key, route in routes.items() if key[0] == "unknown"} == {
        ("unknown", "GET"): 5,
        ("unknown", "other"): 5,
    }
    assert not [key for key in routes if "MAKE" in key[1] or "nothing" in key[0]]


def test_worker_processes_count_together(start_web: Callable[..., "Web"], db_url: str, tmp_path: Path) -> None:
    """Every answer has the sum, whichever process gives it."""
    shared = tmp_path / "shared"
    shared.mkdir()
    web = start_web(db_url, TALLYMARK_WORKERS="2", PROMETHEUS_MULTIPROC_DIR=str(shared))
    assert web.register("one").status == 201
    answers: list[int] = []

    def both_have_worked() -> bool:
        with ThreadPoolExecutor(8) as crowd:
            answers.extend(crowd.map(lambda _: web.call("GET", "/api/internal/jobs/one").status, range(100)))
        return len({file.name.rpartition("_")[2] for file in shared.glob("histogram_*.db")}) == 2

    # The second process may still be starting, and either may get a connection.
    wait_until(both_have_worked)
    assert set(answers) == {200}
    found = {_measured(web)["/api/internal/jobs/{id}", "GET"]["requests"] for _ in range(20)}
    assert found == {len(answers)}
    assert len({web.call("GET", "/api/internal/endpoint").json["since"] for _ in range(20)}) == 1


def test_a_process_that_is_just_starting_fails_no_reading(
    start_web: Callable[..., "Web"], db_url: str, tmp_path: Path
) -> None:
    """Its files are empty at first."""
    web = start_web(db_url, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    for kind in ("counter", "histogram", "gauge_min", "gauge_livesum"):
        (tmp_path / f"{kind}_{os.getpid()}.db").touch()
    web.call("GET", "/nothing")
    assert _measured(web)["unknown", "GET"]["requests"] == 1
    assert web.call("GET", "/metrics").status == 200


def test_a_server_has_its_workers_count_together_from_zero(
    start_web: Callable[..., "Web"], db_url: str, tmp_path: Path
) -> None:
    """No setup is needed."""
    web = start_web(db_url, TALLYMARK_WORKERS="2", PROMETHEUS_MULTIPROC_DIR="", TMPDIR=str(tmp_path))
    assert len(list(tmp_path.glob("tallymark-counts-*"))) == 1
    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(lambda _: web.call("GET", "/nothing"), range(100)))
    assert {_measured(web)["unknown", "GET"]["requests"] for _ in range(20)} == {100}


def test_only_who_may_read_all_jobs_is_told(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str
) -> None:
    """The figures cover requests about all jobs."""
    web = start_web(db_url)
    tokens = {
        "reader": create_token(db, "reader", ["read"]),
        "some": create_token(db, "some", ["read"], job_prefix="some-"),
        "writer": create_token(db, "writer", ["write"]),
    }
    status = {name: web.call("GET", "/api/internal/endpoint", token=token).status for name, token in tokens.items()}
    assert status == {"reader": 200, "some": 403, "writer": 403}
    refused = web.call("GET", "/api/internal/endpoint", token=tokens["some"])
    assert "for some jobs only" in json.loads(refused.body)["detail"]
    assert web.call("GET", "/api/internal/endpoint", token=None).status == 401


@pytest.mark.parametrize(
    ("counts", "part", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 10, 10], 0.5, 0.5),
        ([0, 10, 10], 0.5, 1.5),
        ([10, 20, 20], 0.5, 1.0),
        ([0, 10, 10], 1.0, 2.0),
        ([5, 5, 10], 0.9, 2.0),
        ([0, 0, 10], 0.1, 2.0),
    ],
)
def test_percentiles_lie_where_an_even_spread_has_them(counts: list[float], part: float, expected: float) -> None:
    """With buckets up to 1, up to 2, and above."""
    assert percentile([1.0, 2.0, float("inf")], counts, part) == expected


def test_the_buckets_tell_a_millisecond_from_ten_seconds() -> None:
    """They rise, and none is more than twice as wide as everything below it."""
    assert (BUCKETS[0], BUCKETS[-1]) == (0.001, 10.0)
    assert all(1 < high / low <= 2 for low, high in pairwise(BUCKETS))
