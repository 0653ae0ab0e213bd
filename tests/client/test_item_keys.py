"""Keys of items: sent to the server, which counts each once for a job and type."""

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.test_whole import HABITS, make_recorder

from tallymark.client.channel import Channel
from tallymark.client.keys import as_counts, as_sent, digest, digest_of_any_type
from tallymark.client.outbox import Outbox
from tallymark.client.questions import unseen_in
from tallymark.client.recorder import Recorder
from tallymark.client.records import Position, Waiting
from tallymark.client.transport import Answer
from tallymark.client.updates import Update, combine

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


def count(recorder: Recorder, type_: str, key: str | None = None, processed: int | None = None) -> bool:
    """Count an item, as `Job.advance` does."""
    which = (digest(type_, key), as_sent(key)) if key is not None else (None, None)
    return recorder.count((type_, 1, processed, None), *which)


#: Seconds, so far apart that whatever waits is due.
_clock = itertools.count(10.0, 10.0)


def sealed(recorder: Recorder) -> list[dict[str, Any]]:
    """Put everything into the outbox, and return the updates after the first."""
    for _ in range(2):
        recorder.write(next(_clock))
    return [json.loads(row.text) for row in recorder.channel.outbox.head(10_000, 10**9)[1:]]


def test_keys_are_divided_by_number_and_by_bytes() -> None:
    """At most 1,000 of a type, and about as many bytes as an update may have."""
    recorder = make_recorder()
    for number in range(2500):
        count(recorder, "pages", f"{number:x}")
    for number in range(100):
        count(recorder, "files", f"https://site.example/{number}/{'x' * 1000}")
    updates = sealed(recorder)
    assert max(len(json.dumps(update)) for update in updates) < 11_000
    pages = [key for update in updates for key in update.get("itemKeys", {}).get("pages", ())]
    files = [key for update in updates for key in update.get("itemKeys", {}).get("files", ())]
    assert (len(pages), len(set(pages)), len(files)) == (2500, 2500, 100)
    habits = HABITS.__class__(**{**HABITS.__dict__, "max_bytes": 10**6})
    large = Recorder.resume(Channel("j", None, Outbox(None, limit=10)), Position("j"), habits)
    for number in range(2500):
        count(large, "pages", f"{number:x}")
    assert [len(update["itemKeys"]["pages"]) for update in sealed(large)] == [1000, 1000, 500]


def test_no_update_has_a_type_in_both_ways() -> None:
    """The protocol refuses that; what is counted both ways is in two updates, the keys first."""
    recorder = make_recorder()
    for number in range(10):
        count(recorder, "pages", str(number))
        count(recorder, "pages")
        count(recorder, "files", str(number))
    first, second = sealed(recorder)
    assert first["itemKeys"] == {"pages": [str(number) for number in range(10)]}
    assert "itemsByType" not in first
    assert second["itemsByType"] == {"pages": 10}
    assert list(second["itemKeys"]) == ["files"]


@pytest.mark.parametrize("key", ["x" * 1025, "a\0b", "half \ud800"])
def test_a_key_that_cannot_be_sent_is_sent_as_its_digest(key: str) -> None:
    """The same by any client: the SHA-256 of the key in UTF-8."""
    expected = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    assert as_sent(key) == f"sha256:{expected}"
    assert as_sent("x" * 1024) == "x" * 1024


def test_a_key_is_one_of_its_type() -> None:
    """The same URL may be a page and a file; a key of an earlier release is one of any type."""
    recorder = make_recorder()
    assert count(recorder, "pages", "/a")
    assert not count(recorder, "pages", "/a")
    assert count(recorder, "files", "/a")
    assert len(digest_of_any_type("/a")) == 16
    old = Outbox(None, limit=10)
    old.append([Update("1", {"taskId": "j", "status": "processing"}, (digest_of_any_type("/old"),))], Position("j"))
    again = Recorder.resume(Channel("j", None, old), Position("j"), HABITS)
    assert again.has_old_keys
    assert again.has_counted(digest_of_any_type("/old"))


def test_updates_that_wait_are_combined_only_as_far_as_one_may_have_it_all() -> None:
    """At most 1,000 keys of a type, and no type in both ways."""

    def update(number: int, **members: object) -> Update:
        return Update(str(number), {"taskId": "j", "status": "processing", **members})

    both = combine(update(1, itemKeys={"a": ["1", "2"]}), update(2, itemKeys={"a": ["3"]}, itemsByType={"b": 1}))
    assert both is not None
    assert (both.payload["itemKeys"], both.payload["itemsByType"]) == ({"a": ["1", "2", "3"]}, {"b": 1})
    assert combine(update(1, itemKeys={"a": ["1"]}), update(2, itemsByType={"a": 1})) is None
    keys = [str(number) for number in range(600)]
    assert combine(update(1, itemKeys={"a": keys}), update(2, itemKeys={"a": keys})) is None


def test_processed_items_is_never_given_where_keys_come_first() -> None:
    """The percentage is then that of all types together, each key once: only the server knows which are new."""
    recorder = make_recorder()
    count(recorder, "pages", "/a")
    count(recorder, "issues")
    assert [update.get("processedItems") for update in sealed(recorder)] == [None]
    assert recorder.progress.position.items_by_type == {"pages": 1, "issues": 1}


def test_processed_items_goes_on_where_it_was_given_before() -> None:
    """A mixed job that began with other counts, and a job of an earlier release; what was sent again is taken back."""
    recorder = make_recorder()
    for _ in range(3):
        count(recorder, "issues")
    for number in range(5):
        count(recorder, "pages", str(number))
    assert sealed(recorder)[-1]["processedItems"] == 8
    recorder.say(type(recorder.progress).discount, {"pages": 2})
    count(recorder, "issues")
    assert sealed(recorder)[-1]["processedItems"] == 7
    assert recorder.progress.position.items_by_type == {"issues": 4, "pages": 3}


def test_processed_items_is_what_the_crawler_says() -> None:
    """With `processed=`, keys or not."""
    recorder = make_recorder()
    count(recorder, "requests", processed=0)
    count(recorder, "pages", "/a", processed=1)
    assert sealed(recorder)[-1]["processedItems"] == 1


def test_what_an_earlier_server_did_not_count_is_counted_by_numbers() -> None:
    """It took `itemKeys` for a field of the crawler's own. Everything else in the update was taken."""
    payload = {
        "taskId": "j",
        "status": "completed",
        "timestamp": "t",
        "updateId": "u",
        "workerId": "w",
        "itemKeys": {"pages": ["a", "b"]},
        "itemsByType": {"issues": 5},
        "processedItems": 5,
    }
    row = Waiting(1, "u", json.dumps(payload))
    assert as_counts(row, {"status": "received", "counted": {"pages": 2}}) is None
    instead = as_counts(row, {"status": "received"})
    assert instead is not None
    assert json.loads(instead[1]) == {
        "taskId": "j",
        "status": "processing",
        "timestamp": "t",
        "updateId": "u-counts",
        "workerId": "w",
        "itemsByType": {"pages": 2},
    }


class EarlierServer:
    """A server of the release before: it knows neither `itemKeys` nor `doneBeyond`."""

    def __init__(self) -> None:
        """Start without a job."""
        self.counts: dict[str, int] = {}
        self.seen: set[str] = set()

    def post(self, path: str, body: str, *, timeout: float) -> Answer:  # noqa: ARG002 - as `Transport` has it
        """Take updates, and register jobs."""
        if not path.endswith("/progress"):
            known = path.endswith("/jobs")
            return Answer(201, {"id": json.loads(body)["taskId"]}) if known else Answer(404, {"error": "Not found"})
        sent = json.loads(body)
        acks = [self._take(update) for update in (sent if isinstance(sent, list) else [sent])]
        return Answer(200, acks if isinstance(sent, list) else acks[0])

    def _take(self, update: dict[str, Any]) -> dict[str, Any]:
        if update["updateId"] not in self.seen:
            self.seen.add(update["updateId"])
            for type_, number in update.get("itemsByType", {}).items():
                self.counts[type_] = self.counts.get(type_, 0) + number
        ack: dict[str, Any] = {"status": "received", "warnings": [], "command": None}
        if update["status"] == "started":
            ack["resume"] = {"lastProcessedId": None, "resumeState": None, "itemsByType": {}, "processedItems": 0}
        return ack

    def close(self) -> None:
        """Nothing is open."""


def test_an_earlier_server_counts_all_and_a_warning_says_what_is_missing(
    make_client: "Make", name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Keys count as numbers, once a spool; items done beyond the cursor count when it has passed them."""
    server = EarlierServer()
    with make_client(transport=server).job(name) as job:
        assert [job.advance("pages", key=key) for key in ("a", "b", "a")] == [True, True, False]
        first, second = job.begin("1"), job.begin("2")
        second.done()
        assert job.flush()
        assert server.counts == {"pages": 2}
        first.done()
        assert job.flush()
        assert server.counts == {"pages": 2, "items": 2}
        assert job.unseen(["a", "c"], type="pages") == ["c"]
    assert "is of an earlier release" in caplog.text
    assert "cannot ask the server which keys are new" in caplog.text


def test_an_earlier_server_that_was_away_at_the_start_counts_all(make_client: "Make", name: str) -> None:
    """The first keys are sent to it, and counted as numbers when its answer shows that it did not count them."""
    server = EarlierServer()
    with make_client(port=1, retries=0, start_timeout=0.1, end_timeout=0.1).job(name) as job:
        for number in range(300):
            job.advance("pages", key=str(number))
        job.pause()
    with make_client(transport=server).job(name) as job:
        job.advance("pages", key="more")
        assert not job.advance("pages", key="7")
    assert server.counts == {"pages": 301}


def test_only_as_many_keys_as_may_be_are_remembered(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server counts a key once that the client has forgotten."""
    monkeypatch.setattr("tallymark.client.recorder._MOST_KNOWN", 50)
    with make_client().job(name) as job:
        for _ in range(2):
            for number in range(200):
                job.advance("pages", key=str(number))
            assert job.flush()
        assert job._run.recorder is not None
        job.advance("pages", key="last")
        assert job.flush()
        assert len(job._run.recorder._keys) <= 60
        assert len(job._run.recorder.channel.outbox.sent()) <= 60
    assert look.counts(name) == ({"pages": 201}, 0)


def test_unseen_says_what_nobody_has_counted(make_client: "Make", name: str, look: "Look") -> None:
    """In order, each once, in parts; what this client has counted and not sent is left out."""
    urls = [f"https://site.example/{number}" for number in range(2500)] + ["x" * 3000]
    with make_client().job(name, worker="a") as a, make_client(every_seconds=600.0).job(name, worker="b") as b:
        for url in urls[:1200]:
            a.advance("pages", key=url)
        assert a.flush()
        b.advance("pages", key=urls[1200])
        b.advance("pages", key=urls[2500])
        assert b.unseen([*urls, *urls[:5], urls[1300]], type="pages") == urls[1201:2500]
        assert a.unseen(urls, type="files") == urls
        assert a.unseen([], type="pages") == []
        a.pause()
    assert look.counts(name)[0] == {"pages": 1202}


@pytest.mark.parametrize("job_id", [".", ".."])
def test_unseen_knows_a_job_whose_name_means_another_place_in_a_path(make_client: "Make", job_id: str) -> None:
    """Another worker of it has counted the page."""
    with make_client().job(job_id, worker="a") as a, make_client().job(job_id, worker="b") as b:
        a.advance("pages", key="a")
        assert a.flush()
        assert b.unseen(["a", "b"], type="pages") == ["b"]
        a.pause()


def test_unseen_without_a_server_is_what_this_client_does_not_know(
    make_client: "Make", name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The crawl goes on; what is crawled twice counts once."""
    away = {"port": 1, "retries": 0, "start_timeout": 0.1, "end_timeout": 0.1}
    with make_client(**away).job(name) as job:
        job.advance("pages", key="b")
        assert job.unseen(["a", "b", "c"], type="pages") == ["a", "c"]
    assert "cannot ask the server which keys are new" in caplog.text


@pytest.mark.parametrize("told", [None, "a", {"a": 1}, [1], [["a"]], [None]])
def test_an_answer_that_names_no_keys_is_no_answer(told: object) -> None:
    """Whoever gave it, the crawl goes on."""
    assert unseen_in(Answer(200, {"unseen": told})) is None
    assert unseen_in(Answer(200, {"unseen": ["a"]})) == ["a"]


def test_a_mixed_job_has_the_right_percentage_on_any_machine(make_client: "Make", name: str, look: "Look") -> None:
    """100 pages by key and 100 issues; the pages are crawled again on another machine."""
    with make_client(spool=None).job(name) as job:
        job.total(200)
        for number in range(60):
            job.advance("pages", key=str(number))
            job.advance("issues")
        job.pause()
    with make_client(spool=None).job(name) as job:
        for number in range(100):
            job.advance("pages", key=str(number))
        for _number in range(40):
            job.advance("issues")
        assert job.flush()
        found = look(name)
        assert found["progress"]["itemsByType"] == {"pages": 100, "issues": 100}
        assert "processedItems" not in found["progress"]
        assert (found["percentage"], found["summary"]) == (100, "200/200 items (100%)")


def test_a_job_that_an_earlier_client_began_goes_on_with_its_numbers(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """Its spool has digests for all types, and `processedItems` was given."""
    with make_client().job(name) as job:
        job.total(100)
        for _ in range(60):
            job.advance("pages", processed=1)
        recorder = job._run.recorder
        assert recorder is not None
        assert job.flush()
        # As the earlier client stored its keys.
        old = [digest_of_any_type(str(number)) for number in range(60)]
        outbox = recorder.channel.outbox
        with outbox.file.transaction():
            outbox.file.database.executemany("INSERT INTO counted VALUES (?)", [(key,) for key in old])
        job.pause()
    with make_client().job(name) as job:
        assert sum(job.advance("pages", key=str(number)) for number in range(100)) == 40
        assert job.seen("7")
        assert job.flush()
        found = look(name)
        assert look.counts(name) == ({"pages": 100}, 100)
        assert found["percentage"] == 100


def test_the_cursor_moves_past_an_item_that_was_counted_before(make_client: "Make", name: str, look: "Look") -> None:
    """After a kill a crawl does its last items again and goes on after them, though their keys do not count again."""
    with make_client().job(name) as job:
        assert job.advance("pages", key="a", last_id="1")
        assert not job.advance("pages", key="a", last_id="2")
        assert job.flush()
        assert look(name)["progress"]["lastProcessedId"] == "2"
        job.pause()
    with make_client().job(name) as job:
        assert job.resume.last_processed_id == "2"
        assert not job.advance("pages", key="a", last_id="1")
    assert (look(name)["progress"]["lastProcessedId"], look.counts(name)) == ("1", ({"pages": 1}, 0))
