"""The benchmarks of open pages: how they count what pages have seen, and that they run."""

import json
import re
import shutil
from pathlib import Path

import pytest
from benchmarks.viewing import Page, commits, compare_pages, p95, watched
from tests.benchmarks.test_harness import run, without_database

COMMITTED = commits([["a", 2, 10.0], ["a", 3, 10.1], ["b", 5, 10.2]])

BEGIN = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def test_an_event_counts_for_each_page_that_got_it_once() -> None:
    """It does not count for a page that got it twice, or not at all."""
    seen = compare_pages([("a", [[2, 10.5], [3, 10.5]]), ("a", [[2, 10.5], [2, 10.9]]), ("b", [])], COMMITTED)
    assert (seen.expected, seen.once, seen.repeated) == (5, 2, 1)
    assert seen.share == 0.4
    # An event that came twice counts from the first time.
    assert [round(delay) for delay in seen.job_delays] == [500, 400, 500]


def test_what_was_not_committed_meanwhile_does_not_count() -> None:
    """A page may still get what was committed earlier."""
    seen = compare_pages([("b", [[4, 9.0], [5, 10.3]])], COMMITTED)
    assert (seen.expected, seen.once) == (1, 1)


def test_an_update_is_in_the_first_row_with_its_number_or_a_later_one() -> None:
    """The overview shows where a job is, and not each step on the way."""
    seen = compare_pages([(None, [["a", 1, 9.0], ["a", 3, 10.4], ["b", 4, 10.4]])], COMMITTED)
    assert [round(delay) for delay in seen.row_delays] == [400, 300]
    assert seen.rows_missing == 1
    assert seen.expected == 0


def test_p95_of_nothing_is_not_good() -> None:
    """An event that was never seen took infinitely long."""
    assert p95([]) == float("inf")
    assert p95([7.0]) == 7.0
    assert p95([float(n) for n in range(101)]) == 95.0


def test_pages_go_round_the_jobs() -> None:
    """The overview comes last."""
    assert watched("job_", 2, 3, 1) == ["job_1", "job_2", "job_1", None]


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_a_page_reads_each_message_however_the_network_cuts_it(size: int) -> None:
    """Chunks of HTTP and messages may end anywhere."""
    job = {"events": [{"seq": 1}, {"seq": 2}], "skipped": 3}
    rows = {"rows": [{"id": "a", "lastSeq": 9}]}
    chunks = [
        b"retry: 1000\n\n",
        b"event: job\nid: 2\ndata: %s\n\nevent: beat\ndata: {}\n\n" % json.dumps(job).encode(),
        b"event: overview\ndata: %s\n\n" % json.dumps(rows).encode(),
    ]
    sent = BEGIN + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    page = Page()
    for start in range(0, len(sent), size):
        page.data_received(sent[start : start + size])
    assert [seen[:-1] for seen in page.seen] == [[1], [2], ["a", 9]]
    assert (page.skipped, page.messages, page.has_begun, page.trouble) == (3, 4, True, "")


def test_a_page_that_gets_no_stream_says_so() -> None:
    """With the server's message."""
    page = Page()
    page.data_received(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\n\r\n{}")
    assert page.trouble.startswith("HTTP/1.1 503")
    assert not page.has_begun


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_open_pages_see_every_update_once(tmp_path: Path) -> None:
    """The harness checks this itself."""
    file = tmp_path / "figures.json"
    done = run("--quick", "--only", "viewers_seen", "viewers_p95", "--json", str(file), environ=without_database())
    assert done.returncode == 0, done.stderr
    figures = {figure["name"]: figure for figure in json.loads(file.read_text(encoding="utf-8"))["figures"]}
    assert list(figures) == ["viewers_seen", "viewers_p95"]
    assert figures["viewers_seen"]["value"] == 1.0
    assert "more than once: 0" in figures["viewers_seen"]["notes"]


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_the_merge_is_measured_with_both_kinds_of_pages() -> None:
    """A missed goal is no failure."""
    done = run("--quick", "--only", "viewers_merge", "viewers_merge_sink", environ=without_database())
    assert done.returncode == 0, done.stderr
    assert re.search(r"^viewers_merge \d+\.\d\d$", done.stdout, re.MULTILINE)
    assert re.search(r"^viewers_merge_sink \d+\.\d\d$", done.stdout, re.MULTILINE)
    assert done.stdout.count("verify_job is true for 10 of 10 jobs") == 2


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_the_first_paint_is_measured_where_there_is_a_browser_and_else_is_said_not_to_be(tmp_path: Path) -> None:
    """A missing browser is not a failure."""
    for program in filter(None, map(shutil.which, ("unshare", "setpriv"))):
        (tmp_path / Path(program).name).symlink_to(program)
    done = run("--quick", "--only", "first_paint", "first_row", environ=without_database())
    assert done.returncode == 0, done.stderr
    if "NOT MEASURED" not in done.stderr:
        assert re.search(r"^first_paint \d+\.\d\d$", done.stdout, re.MULTILINE)
        assert re.search(r"^first_row \d+\.\d\d$", done.stdout, re.MULTILINE)
    done = run("--quick", "--only", "first_paint", environ={**without_database(), "PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "NOT MEASURED: the first paint, since there is no Chromium" in done.stderr
