"""What is expected in all: of loops that follow each other, that are inside each other, and that end early."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tallymark import Job

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


def of(look: "Look", job: Job) -> tuple[int, int]:
    """Return how many items are processed and how many expected, by the server."""
    assert job.flush()
    progress = look(job.id)["progress"]
    return progress.get("processedItems", 0), progress["totalItems"]


def test_the_crawls_own_total_is_not_changed_by_its_loops(make_client: "Make", name: str, look: "Look") -> None:
    """500 items in pages of 100: after the first page it is 20 %, and not 100 %."""
    with make_client().job(name) as job:
        job.total(500)
        for page in range(1, 6):
            list(job.track(range(100), type="issues"))
            assert of(look, job) == (100 * page, 500)
            assert look(name)["percentage"] == 20 * page
        list(job.track(range(10), type="issues"))
        assert of(look, job) == (510, 510), "more than expected"


@pytest.mark.parametrize("keeps_its_spool", [True, False])
def test_areas_and_keys_crawled_again_do_not_change_the_crawls_own_total(
    make_client: "Make", name: str, look: "Look", keeps_its_spool: bool
) -> None:
    """The server counts areas beside the items, and keys once; the crawl said 10, and that is what is expected."""
    spool = {} if keeps_its_spool else {"spool": None}
    with make_client(**spool).job(name) as job:
        job.total(10)
        job.discovered([{"type": "group", "fullPath": f"g{number}"} for number in range(4)])
        for number in range(9):
            job.advance("pages", key=str(number))
        job.pause()
    assert look(name)["progress"]["totalItems"] == 10
    with make_client(**spool).job(name) as job:
        assert job.resume.items_by_type["groups"] == 4
        job.total(10)
        for number in range(5, 10):
            # On another machine, the last update is made before the server says that four of the keys are not new.
            job.advance("pages", key=str(number))
    progress = look(name)["progress"]
    assert progress["itemsByType"] == {"groups": 4, "projects": 0, "pages": 10}
    assert progress["totalItems"] == 10


def test_a_loop_inside_another_does_not_make_it_look_done(make_client: "Make", name: str, look: "Look") -> None:
    """What is expected is what is done, and what each running loop still lacks."""
    seen = []
    with make_client().job(name) as job:
        for _group in job.track(["a", "b"], type="groups"):
            for issue in job.track(range(5), type="issues"):
                if issue == 0:
                    seen += [of(look, job)]
            seen.append(of(look, job))
    assert seen == [(0, 7), (5, 7), (6, 12), (11, 12)]
    assert look(name)["progress"]["totalItems"] == 12


def test_what_is_counted_beside_a_loop_is_expected_in_addition(make_client: "Make", name: str, look: "Look") -> None:
    """The job is not done before the loop is."""
    with make_client().job(name) as job:
        for number in job.track(range(10), type="issues"):
            job.advance("commits", 3)
            if number == 5:
                assert of(look, job) == (5 + 18, 5 + 18 + 5)
    assert look(name)["progress"]["totalItems"] == 40


def test_items_that_a_failed_run_left_are_still_expected(make_client: "Make", name: str, look: "Look") -> None:
    """4 of 10 when it failed; and 10 of 10 after the next run."""

    def crawl() -> None:
        with make_client().job(name) as job:
            for number in job.track(range(10), type="issues", id=str):
                if number == 4:
                    raise ValueError("four")

    with pytest.raises(ValueError, match="four"):
        crawl()
    progress = look(name)["progress"]
    assert (progress["processedItems"], progress["totalItems"]) == (4, 10)
    with make_client().job(name) as job:
        list(job.track(range(4, 10), type="issues", id=str))
    progress = look(name)["progress"]
    assert (progress["processedItems"], progress["totalItems"]) == (10, 10)


def test_loops_that_are_broken_off_do_not_add_up(make_client: "Make", name: str, look: "Look") -> None:
    """Each page is left at its third item: what the pages before have left is not expected any more."""
    with make_client().job(name) as job:
        for _page in range(4):
            for number in job.track(range(100), type="issues"):
                if number == 3:
                    break
        assert of(look, job) == (12, 9 + 100)
        for _number in job.track(range(5), type="issues"):
            pass
        assert of(look, job) == (17, 17)


def test_who_takes_all_items_at_once_is_warned_of(
    make_client: "Make", name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`executor.map` takes them before any is done; a loop, or a list, is no reason to warn."""
    with make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1).job(name) as job:
        list(job.track([1, 2]))
        assert "takes all items of track() at once" not in caplog.text
        with ThreadPoolExecutor(2) as executor:
            assert list(executor.map(abs, job.track([1, -2]))) == [1, 2]
        assert "concurrent.futures._base takes all items of track() at once" in caplog.text
        assert "job.item()" in caplog.text
    assert Job.track.__doc__ is not None
    assert "executor.map(f, job.track(urls))" in Job.track.__doc__
