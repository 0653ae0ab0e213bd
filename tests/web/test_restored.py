"""After a backup was restored, nobody keeps what is no more, and nobody misses what is new under the same numbers."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.backups import Backup
from tests.web.watching import Watching, wait_until

if TYPE_CHECKING:
    from tests.web.conftest import Web

StartWeb = Callable[..., "Web"]
Update = Callable[..., dict[str, object]]

JOB = "/api/internal/jobs/job"


@pytest.fixture
def own(start_web: StartWeb, db_url: str, db: psycopg.Connection[Any], update: Update) -> "Web":
    """A server, and a job with three updates."""
    db.close()
    web = start_web(db_url)
    web.register("job")
    report(web, update, 1, 2, 3)
    return web


def report(web: "Web", update: Update, *numbers: int) -> None:
    """Report updates, each with a message that names it; a server may have to find its database again."""
    for number in numbers:
        wait_until(lambda: web.report(update("job", updateId=f"{number}", message=f"m{number}")).status == 200)  # noqa: B023


def told(data: Any) -> list[tuple[int, str]]:  # noqa: ANN401 - a message's
    """Return the events of a message: their numbers, and which update each is."""
    return [(event["seq"], event["details"]["message"]) for event in data["events"]]


def polled(web: "Web", after: str) -> Any:  # noqa: ANN401 - a message's data
    """Return what a client that asks once is told."""
    answer = web.call("GET", f"/events?job=job&after={after}")
    assert answer.status == HTTPStatus.OK
    return answer.json["messages"][0]["data"]


def test_the_tag_of_a_job_is_not_that_of_another_ledger(
    own: "Web", db_url: str, update: Update, tmp_path: Path
) -> None:
    """A client gets 304 only for what it has; the number of events and the id are the same."""
    backup = Backup(db_url, tmp_path / "backup")
    report(own, update, 4)
    lost = own.call("GET", JOB)
    assert own.call("GET", JOB, headers={"If-None-Match": lost.headers["etag"]}).status == 304
    backup.restore()
    report(own, update, 5)
    answer = own.call("GET", JOB, headers={"If-None-Match": lost.headers["etag"]})
    assert (answer.status, answer.json["lastSeq"], lost.json["lastSeq"]) == (200, 4, 4)
    assert answer.json["progress"]["message"] == "m5"
    assert own.call("GET", JOB, headers={"If-None-Match": answer.headers["etag"]}).status == 304


def test_a_command_is_not_another_command(own: "Web", db_url: str, tmp_path: Path) -> None:
    """It is an event like an update, and changes the tag."""
    backup = Backup(db_url, tmp_path / "backup")
    own.call("POST", f"{JOB}/command", {"command": "pause"})
    lost = own.call("GET", JOB).headers["etag"]
    backup.restore()
    wait_until(lambda: own.call("POST", f"{JOB}/command", {"command": "cancel"}).status == 200)
    answer = own.call("GET", JOB, headers={"If-None-Match": lost})
    assert (answer.status, answer.json["lastSeq"], answer.json["command"]) == (200, 4, "cancel")


@pytest.mark.parametrize("new", [(), (7,), (7, 8), (7, 8, 9)], ids=lambda new: f"{len(new)} new")
def test_who_watches_drops_what_is_no_more(
    own: "Web", db_url: str, update: Update, tmp_path: Path, new: tuple[int, ...]
) -> None:
    """The open stream goes on with the ledger that there is now, from its first event, and then as ever."""
    backup = Backup(db_url, tmp_path / "backup")
    report(own, update, 4, 5)
    with Watching(own, job="job", last=0) as watching:
        assert told(watching.next("job"))[-1] == (5, "m5")
        backup.restore()
        report(own, update, *new)
        expected = [(seq, f"m{number}") for seq, number in enumerate((1, 2, 3, *new), 1)]
        resets, have = 0, [(5, "m5")]
        while have != expected:
            data = watching.next("job")
            resets += "reset" in data
            have = told(data) if "reset" in data else [*have, *told(data)]
        assert resets == 1
        report(own, update, 99)
        data = watching.next("job")
        assert told(data) == [(len(expected) + 1, "m99")]
        assert "reset" not in data
        known = watching.id
    with Watching(own, job="job", last=known) as watching:
        data = watching.next("job")
        assert (data["events"], "reset" in data) == ([], False)


@pytest.mark.parametrize("new", [(), (7,), (7, 8), (7, 8, 9)], ids=lambda new: f"{len(new)} new")
@pytest.mark.parametrize("restarted", [False, True], ids=["same server", "restarted server"])
def test_who_comes_back_is_told_that_what_it_has_is_no_more(
    start_web: StartWeb, own: "Web", db_url: str, update: Update, tmp_path: Path, new: tuple[int, ...], restarted: bool
) -> None:
    """By a stream and by asking once; a client whose events are all there goes on after them."""
    kept = str(own.call("GET", "/events?job=job&after=0").json["messages"][0]["id"])
    backup = Backup(db_url, tmp_path / "backup")
    report(own, update, 4, 5)
    lost = str(own.call("GET", "/events?job=job&after=0").json["messages"][0]["id"])
    backup.restore()
    report(own, update, *new)
    web = start_web(db_url) if restarted else own
    expected = [(seq, f"m{number}") for seq, number in enumerate((1, 2, 3, *new), 1)]

    def streamed(last: str) -> Any:  # noqa: ANN401 - a message's data
        with Watching(web, job="job", last=last) as watching:
            return watching.next("job")

    wait_until(lambda: web.call("GET", JOB).status == 200)
    for data in (streamed(lost), polled(web, lost)):
        assert (told(data), data.get("reset")) == (expected, True)
    for data in (streamed(kept), polled(web, kept)):
        assert (told(data), data.get("reset")) == (expected[3:], None)
    # A client of an earlier release names only the number, so nobody can tell.
    assert told(polled(web, "3")) == expected[3:]


def test_a_job_that_the_backup_does_not_have_is_gone(
    start_web: StartWeb, db_url: str, db: psycopg.Connection[Any], update: Update, tmp_path: Path
) -> None:
    """And one that is registered then is told from its first event."""
    db.close()
    web = start_web(db_url)
    backup = Backup(db_url, tmp_path / "backup")
    web.register("job")
    report(web, update, 1, 2)
    with Watching(web, job="job", last=0) as watching:
        watching.next("job")
        backup.restore()
        assert watching.next("gone") == {"id": "job"}
        wait_until(lambda: web.register("job").status == 201)
        report(web, update, 3)
        data = watching.next("job")
        assert told(data)[-1:] in ([], [(1, "m3")])
