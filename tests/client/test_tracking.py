"""`track`: an item counts when its turn of the loop is done, and not before."""

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.conftest import Look, Make


def test_all_items_of_a_loop_count_and_their_number_is_the_total(make_client: "Make", name: str, look: "Look") -> None:
    """The cursor is the last item's id; a second run adds to the total."""
    for run in (1, 2):
        with make_client().job(name) as job:
            assert list(job.track(range(40), type="issues", id=lambda n: f"issue-{n}")) == list(range(40))
        progress = look(name)["progress"]
        assert (progress["processedItems"], progress["totalItems"]) == (40 * run, 40 * run)
        assert progress["lastProcessedId"] == "issue-39"


def test_what_is_flushed_in_the_body_is_what_was_done_before(make_client: "Make", name: str, look: "Look") -> None:
    """The current item is not done."""
    with make_client().job(name) as job:
        for item in job.track(iter("abcde"), type="issues", id=str):
            if item == "d":
                assert job.flush()
                assert look.counts(name) == ({"issues": 3}, 3)
                assert look(name)["progress"]["lastProcessedId"] == "c"
    assert look.counts(name) == ({"issues": 5}, 5)


def test_a_break_leaves_the_item_at_hand_uncounted(make_client: "Make", name: str, look: "Look") -> None:
    """The items before it count."""
    with make_client().job(name) as job:
        for item in job.track(range(10), type="issues", id=str):
            if item == 4:
                break
    assert look.counts(name) == ({"issues": 4}, 4)
    assert look(name)["progress"]["lastProcessedId"] == "3"


def test_an_exception_leaves_the_item_at_hand_uncounted_and_the_restart_begins_with_it(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """The cursor is that of the last item done, although more were handed out."""

    def crawl() -> None:
        with make_client().job(name) as job:
            for item in job.track(range(10), type="issues", id=str):
                if item == 4:
                    raise ValueError("item 4")

    with pytest.raises(ValueError, match="item 4"):
        crawl()
    assert look(name)["status"] == "failed"
    with make_client().job(name) as job:
        assert job.resume.last_processed_id == "3"
        first = int(job.resume.last_processed_id) + 1
        for _ in job.track(range(first, 10), type="issues", id=str):
            pass
    assert look.counts(name) == ({"issues": 10}, 10)


def test_items_that_break_off_themselves_count_up_to_there(make_client: "Make", name: str, look: "Look") -> None:
    """The fourth item's page cannot be loaded: three are done."""

    def items() -> "Iterator[int]":
        yield from (1, 2, 3)
        raise OSError("no such page")

    def crawl() -> None:
        with make_client().job(name) as job:
            for _ in job.track(items(), type="issues", id=str):
                pass

    with pytest.raises(OSError, match="no such page"):
        crawl()
    assert look.counts(name) == ({"issues": 3}, 3)
    assert look(name)["progress"]["lastProcessedId"] == "3"


def test_loops_can_be_inside_each_other_and_count_by_hand_beside(make_client: "Make", name: str, look: "Look") -> None:
    """Each loop has its type."""
    with make_client().job(name) as job:
        for _group in job.track(["a", "b"], type="groups"):
            for _issue in job.track(range(5), type="issues"):
                job.advance("commits", 2)
    assert look.counts(name) == ({"groups": 2, "issues": 10, "commits": 20}, 32)


def test_a_bar_is_drawn_where_it_is_asked_for_and_nowhere_else(make_client: "Make", name: str, look: "Look") -> None:
    """It is drawn on standard error, by default only in a terminal."""
    code = (
        "import sys; from tallymark import ProgressClient\n"
        "with ProgressClient(sys.argv[1], token='crawler-token') as client, client.job(sys.argv[2]) as job:\n"
        "    for _ in job.track(range(25), type='issues', bar={'on': True, 'auto': None}[sys.argv[3]]): pass\n"
    )
    client = make_client()
    with client.job(name):
        pass
    url = client._sender._transport._base  # type: ignore[attr-defined]
    shown = {}
    for bar in ("on", "auto"):
        done = subprocess.run(
            [sys.executable, "-c", code, url, name, bar], capture_output=True, text=True, check=True, timeout=60
        )
        shown[bar] = done.stderr
        assert done.stdout == ""
    assert "issues" in shown["on"]
    assert "25/25" in shown["on"]
    assert shown["auto"] == ""
    assert look.counts(name) == ({"issues": 50}, 50)
