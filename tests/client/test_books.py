"""A crawl says how many items there are and what became of them; its job shows what is missing."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tallymark import ProgressClient

if TYPE_CHECKING:
    from tests.client.conftest import Look

Make = Callable[..., ProgressClient]


def test_seven_items_that_a_crawl_drops_without_a_word_are_named_by_their_types(
    make_client: Make, name: str, look: "Look"
) -> None:
    """Found, done, failed and skipped by three types, in two runs; five issues and two notes are missing in the end."""
    items = {"issues": 40, "notes": 25, "pages": 10}
    client = make_client()
    with client.job(name) as job:
        job.report(totalsByType={"issues": items["issues"]})
        for type_ in ("issues", "notes"):
            for number in range(items[type_] // 2):
                if type_ == "notes":
                    job.report(foundByType={"notes": 1})
                if number % 10 == 3:
                    job.report(failedByType={type_: 1})
                elif not (type_ == "issues" and 4 <= number <= 8):
                    job.advance(type_)
        job.pause()
    books = look(name)["books"]
    assert books["issues"] == {"total": 40, "done": 13, "failed": 2, "skipped": 0, "left": 25, "over": 0}
    assert books["notes"] == {"total": 12, "done": 11, "failed": 1, "skipped": 0, "left": 0, "over": 0}
    assert look(name)["shortfall"] is None

    with client.job(name) as job:
        job.report(foundByType={"notes": items["notes"] - items["notes"] // 2}, totalsByType={"pages": items["pages"]})
        job.advance("issues", 20)
        job.advance("notes", 11)
        job.advance("pages", 9)
        job.report(skippedByType={"pages": 1})
    done = look(name)
    assert (done["status"], done["shortfall"]) == ("finished", {"issues": 5, "notes": 2})
    assert done["books"]["pages"] == {"total": 10, "done": 9, "failed": 0, "skipped": 1, "left": 0, "over": 0}
    assert done["percentage"] == 90.6
    assert done["summary"] == "68/75 items (90%)"
