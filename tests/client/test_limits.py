"""What the protocol limits is checked, cut or refused at the call; nothing else that was reported is lost by it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tallymark import Job, ProgressClient
from tallymark.client.checks import MOST, as_whole
from tallymark.client.fields import OWN
from tallymark.client.keys import as_sent

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


class Whole:
    """A whole number that is no int, as `numpy.int64`."""

    def __init__(self, number: int) -> None:
        """Take its value."""
        self._number = number

    def __index__(self) -> int:
        """Return the value."""
        return self._number


AREA = {"type": "project", "fullPath": "acme/web"}
#: Calls that are refused, each with what the message says: argument, limit and value.
REFUSED: dict[str, tuple[Callable[[Job], object], str]] = {
    "n 0.5": (lambda job: job.advance("x", 0.5), r"n must be a whole number, not 0\.5 \(float\)"),  # type: ignore[arg-type]
    "n True": (lambda job: job.advance("x", True), r"n must be a whole number, not True \(bool\)"),
    "n text": (lambda job: job.advance("x", "3"), r"n must be a whole number, not '3'"),  # type: ignore[arg-type]
    "n below": (lambda job: job.advance("x", -1), r"n must be .* from 0 to 2\^53 - 1, not -1: .* taken back"),
    "n above": (lambda job: job.advance("x", 2**53), r"n must be .* not 9007199254740992"),
    "processed": (lambda job: job.advance("x", 1, processed=0.5), r"processed must be .* not 0\.5"),  # type: ignore[arg-type]
    "processed below": (lambda job: job.advance("x", 1, processed=-1), r"processed must be .* not -1"),
    "no type": (lambda job: job.advance(""), r"type must have 1 to 100 characters, not 0"),
    "type": (lambda job: job.advance("x" * 101), r"type must have 1 to 100 characters, not 101 as 'xxx"),
    "type of another kind": (lambda job: job.advance(3), r"type must be text, not 3 \(int\)"),  # type: ignore[arg-type]
    "cursor": (lambda job: job.advance("x", last_id="c" * 256), r"cursor .* 0 to 255 characters, not 256"),
    "key": (lambda job: job.advance("x", key=""), r"key must have 1 to 1024 characters, not 0"),
    "key of another kind": (lambda job: job.advance("x", key=7), r"key must be text, not 7 \(int\)"),  # type: ignore[arg-type]
    "seen": (lambda job: job.seen(7), r"key must be text, not 7"),  # type: ignore[arg-type]
    "total": (lambda job: job.total(0.5), r"total must be a whole number, not 0\.5"),  # type: ignore[arg-type]
    "track": (lambda job: list(job.track([], total=0.5)), r"total must be a whole number"),  # type: ignore[arg-type]
    "track's type": (lambda job: list(job.track([], type="x" * 101)), r"type must have 1 to 100 characters"),
    "one key": (lambda job: job.unseen("https://site.example/"), r"keys must be a list"),
    "stage": (lambda job: job.stage("s" * 101), r"stage must have 0 to 100 characters, not 101"),
    "operation": (lambda job: job.stage("s", operation="rest"), r"operationType must be discovery, .* not 'rest'"),
    "data type": (lambda job: job.stage("s", data_type="d" * 101), r"data_type must have 0 to 100 characters"),
    "event": (lambda job: job.event("e" * 101), r"event's name must have 1 to 100 characters, not 101"),
    "no event": (lambda job: job.event(""), r"event's name must have 1 to 100 characters, not 0"),
    "details": (
        lambda job: job.event("e", {"html": "x" * 2_000_000}),
        r"details takes 2000\d+ bytes .* at most 524288",
    ),
    "details of another kind": (lambda job: job.event("e", [1]), r"details must be a mapping"),  # type: ignore[arg-type]
    "state": (lambda job: job.checkpoint("x" * 70_000), r"64 KB, and state takes 70002 bytes"),
    "pause": (lambda job: job.pause("x" * 70_000), r"64 KB, and state takes 70002 bytes"),
    "credential": (lambda job: job.credential("expiry", message="x" * 600_000), r"credentialStatus takes 600\d+ bytes"),
    "no area": (lambda job: job.discovered([AREA, 3]), r"areas\[1\] must be a mapping"),  # type: ignore[list-item]
    "area's path": (lambda job: job.discovered([AREA, {"type": "group"}]), r"areas\[1\]\['fullPath'\] .* not 0"),
    "area's long path": (lambda job: job.discovered([{**AREA, "fullPath": "ä" * 501}]), r"1002 bytes, at most 1000"),
    "area's type": (lambda job: job.discovered([{"fullPath": "a"}]), r"areas\[0\]\['type'\] must be text, not None"),
    "area's name": (lambda job: job.discovered([{**AREA, "name": 3}]), r"areas\[0\]\['name'\] must be text, not 3"),
    "area's id": (lambda job: job.discovered([{**AREA, "gitlabId": []}]), r"areas\[0\]\['gitlabId'\] must be text or"),
    "field": (lambda job: job.report(html="x" * 2_000_000), r"html takes 2000002 bytes as JSON, at most 524288"),
    "fields": (lambda job: job.report(**{f"f{n}": "x" * 3000 for n in range(200)}), r"fields take \d+ bytes"),
    "many fields": (lambda job: job.report(**{f"f{n}": 1 for n in range(401)}), r"at most 400 fields .* not 401"),
    "huge number": (lambda job: job.report(number=10**309), r"number beyond 1e308"),
    "deep": (lambda job: job.report(deep=_deep()), r"deep is nested too deeply"),
    "report's message": (lambda job: job.report(message=3), r"message must be text, not 3"),
    "report's stage": (lambda job: job.report(stage="s" * 101), r"stage must have 0 to 100"),
    "report's type": (lambda job: job.report(currentDataType="x" * 200), r"currentDataType must have 0 to 100"),
    "report's cursor": (lambda job: job.report(lastProcessedId="x" * 256), r"lastProcessedId must have 0 to 255"),
    "report's state": (lambda job: job.report(progress="x" * 70_000), r"64 KB, and progress takes"),
    "report's total": (lambda job: job.report(totalItems=0.5), r"totalItems must be a whole number"),
    "report's credential": (lambda job: job.report(credentialStatus="x"), r"credentialStatus must be a mapping"),
    "report's error": (lambda job: job.report(error=3), r"error must be text or a mapping, not 3"),
    "report's timeline": (lambda job: job.report(timeline=[{"event": "x"}]), r"timeline\[0\]\['timestamp'\]"),
    "report's event": (lambda job: job.report(timeline=[{"event": "", "timestamp": "x"}]), r"timeline\[0\]\['event'\]"),
    "report's areas": (lambda job: job.report(areas=[{"type": "group"}]), r"areas\[0\]\['fullPath'\]"),
    "report's reason": (lambda job: job.report(reason="r" * 101), r"reason must have 0 to 100"),
    "found": (lambda job: job.report(foundByType={"x": -1}), r"foundByType\['x'\] must be .* not -1"),
    **{
        f"original's {old}": (lambda job, old=old: job.report(**{old: 0.5}), rf"{old} must be a whole number")  # type: ignore[misc]
        for old in ("processed", "total", "groupCount", "projectCount", "groupTotal", "projectTotal")
    },
    **{own: (lambda job, own=own: job.report(**{own: "x"}), rf"leave them out: {own} \(") for own in OWN},  # type: ignore[misc]
    "end": (lambda job: job.complete(html="x" * 2_000_000), r"html takes 2000002 bytes"),
    "own field at the end": (lambda job: job.complete(status="failed"), r"leave them out: status"),
    "wait": (lambda job: job.flush(float("nan")), r"timeout must be a number of seconds"),
}


def _deep() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


def test_every_argument_over_a_limit_is_refused_at_the_call_and_costs_nothing(
    make_client: "Make", name: str, look: "Look"
) -> None:
    """The message names argument, limit and value. What was reported before and after it counts."""
    with make_client().job(name) as job:
        for number, (what, (call, message)) in enumerate(REFUSED.items(), 1):
            job.advance("issues", last_id=number)
            with pytest.raises((TypeError, ValueError), match=message):
                call(job)
            assert not job.should_stop, what
        assert job.flush()
    found = look(name)
    assert look.counts(name) == ({"issues": len(REFUSED)}, len(REFUSED))
    assert (found["status"], found["progress"]["lastProcessedId"]) == ("finished", str(len(REFUSED)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"job_id": "j" * 300}, r"job_id must have 1 to 255 characters, not 300"),
        ({"job_id": ""}, r"job_id must have 1 to 255 characters, not 0"),
        ({"job_id": 5}, r"job_id must be text, not 5 \(int\)"),
        ({"job_id": "a\0b"}, r"job_id must have no NUL"),
        ({"job_id": "j", "worker": "w" * 105}, r"worker must have 1 to 100 characters, not 105"),
        ({"job_id": "j", "worker": 5}, r"worker must be text"),
        ({"job_id": "j", "worker": "\ud800"}, r"worker must have no NUL and no unpaired surrogate"),
        ({"job_id": "j", "attributes": {"big": "x" * 70_000}}, r"attributes takes 70011 bytes as JSON, at most 65536"),
        ({"job_id": "j", "attributes": [1]}, r"attributes must be a mapping"),
        ({"job_id": "j", "attributes": {"counting": "wild"}}, r"must be increment or cumulative, not 'wild'"),
        ({"job_id": "j", "attributes": {"series": "x" * 256}}, r"attributes\['series'\]"),
        ({"job_id": "j", "attributes": {"series": 5}}, r"attributes\['series'\]"),
        ({"job_id": "j", "parent": ""}, r"parent"),
        ({"job_id": "j", "parent": 5}, r"parent"),
        ({"job_id": "j", "parent": "j"}, r"parent must be another job than 'j'"),
        ({"job_id": "j", "on_command": 3}, r"on_command must be a function, not 3"),
    ],
)
def test_an_id_that_the_server_would_refuse_is_an_error_at_the_call(
    make_client: "Make", given: dict[str, Any], message: str
) -> None:
    """Of the job, of the worker, and what the job is registered with."""
    client = make_client(port=1, retries=0)
    with pytest.raises((TypeError, ValueError), match=message):
        client.job(**given)
    assert client.job("j", worker="", on_command=print).id == "j", "the next one is taken"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"every_items": 0.5}, "every_items must be a whole number"),
        ({"every_items": 0}, "every_items must be a whole number from 1"),
        ({"every_seconds": float("nan")}, "every_seconds must be a number of seconds above 0"),
        ({"max_bytes": 10**6}, "max_bytes must be a whole number from 1 to 262144, not 1000000"),
        ({"spool_limit": 0}, "spool_limit"),
        ({"retries": -1}, "retries"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, not 0"),
        ({"timeout": None}, "timeout must be a number of seconds, not None"),
        ({"start_timeout": -1}, "start_timeout must be a number of seconds from 0"),
        ({"end_timeout": "5"}, "end_timeout must be a number of seconds, not '5'"),
        ({"token": 5}, "token must be text"),
        ({"proxy": "gopher://x"}, "gopher://x is no address"),
    ],
)
def test_a_setting_out_of_its_range_is_an_error_at_the_call(given: dict[str, Any], message: str) -> None:
    """It would otherwise raise in a thread of the client, or wait for ever."""
    with pytest.raises((TypeError, ValueError), match=message):
        ProgressClient("http://127.0.0.1:1", **{"token": "x", **given})


def test_a_wait_without_end_is_a_long_one(make_client: "Make", name: str) -> None:
    """The operating system knows no infinite wait."""
    with make_client(end_timeout=float("inf"), start_timeout=float("inf")).job(name) as job:
        job.advance("issues")
        assert job.flush(float("inf"))


def test_whole_numbers_of_other_kinds_count(make_client: "Make", name: str, look: "Look") -> None:
    """`numpy.int64(3)` is three."""
    numpy = pytest.importorskip("numpy", reason="apt install python3-numpy") if _has_numpy() else None
    with make_client().job(name) as job:
        job.advance("issues", Whole(3), processed=Whole(2))  # type: ignore[arg-type]
        job.total(Whole(9))  # type: ignore[arg-type]
        if numpy is not None:
            job.advance("issues", numpy.int64(3), processed=numpy.int64(2))
        assert job.flush()
        job.advance("issues", 1)
    counted = 7 if numpy is not None else 4
    assert look.counts(name)[0] == {"issues": counted}
    assert look(name)["progress"]["totalItems"] == 9
    assert as_whole("n", Whole(MOST)) == MOST


def _has_numpy() -> bool:
    from importlib.util import find_spec

    return find_spec("numpy") is not None


def test_a_long_key_counts_once_and_differs_from_others() -> None:
    """Long addresses exist; the protocol's keys have at most 1,024 characters."""
    long = "https://example.org/" + "x" * 3000
    keys = {as_sent(long), as_sent(long + "y"), as_sent(long)}
    assert len(keys) == 2
    assert max(map(len, keys)) <= 1024
    assert as_sent("k" * 1024) == "k" * 1024


def test_what_is_too_long_to_be_told_is_cut(make_client: "Make", name: str, look: "Look") -> None:
    """A message, an error and its context: the report comes, the counts stay, and the job ends."""
    with make_client().job(name) as job:
        job.advance("issues", 10, last_id="10")
        job.report(message="m" * 5000)
        job.error("e" * 100_000, html="x" * 2_000_000)
        assert job.flush()
        progress = look(name)["progress"]
        assert progress["message"] == "m" * 1000
        assert set(progress["error"]) == {"message", "context"}
        assert progress["error"]["context"]["html"].startswith("xxx")
        job.report(error={"message": "m", "stack": "s" * 9000, "response": "r" * 10_000})
        assert job.flush()
        assert set(look(name)["progress"]["error"]) == {"message", "stack", "response"}
        job.advance("issues", 5, last_id="15")
        job.fail(ValueError("broken"), html="x" * 2_000_000, **{f"page {n}": "y" * 900 for n in range(200)})
    found = look(name)
    assert found["status"] == "failed"
    assert look.counts(name) == ({"issues": 15}, 15)
    error = found["progress"]["error"]
    assert (error["message"], error["type"]) == ("broken", "ValueError")
    assert error["context"]["lastProcessedId"] == "15"
    assert "page 199" not in error["context"]
    assert "members of the context" in error["leftOut"]


def test_fields_of_the_protocol_go_their_own_ways(make_client: "Make", name: str, look: "Look") -> None:
    """What is given by its name loses nothing: totals, cursor and state, events, areas beside counts of their type."""
    client = make_client()
    with client.job(name) as job:
        job.advance("groups", 4)
        job.event("mine")
        job.report(timeline=[{"timestamp": "2025-01-06T19:15:30Z", "event": "given", "details": {"n": 1}}])
        job.report(areas=[{"type": "group", "fullPath": "a"}], total=2, branch="main")
        job.report(progress={"page": 3}, lastProcessedId="p3")
        job.report(foundByType={"issues": 3})
        job.report(foundByType={"issues": 4})
        job.report(totalsByType={"issues": 7, "notes": 1})
        job.report(totalsByType={"notes": 2})
        job.report(totalsByType={f"type {number}": number for number in range(200)})
        assert job.flush()
        job.pause(areas=[{"type": "group", "fullPath": "b"}], progress={"page": 4}, message="later")
    found = look(name)
    progress = found["progress"]
    assert progress["itemsByType"]["groups"] == 6
    assert found["books"]["issues"] == {"total": 7, "done": 0, "failed": 0, "skipped": 0, "left": 7, "over": 0}
    assert (progress["foundByType"], progress["totalsByType"]["notes"]) == ({"issues": 7}, 2)
    assert progress["totalsByType"].items() >= {f"type {number}": number for number in range(200)}.items()
    assert (progress["totalItems"], progress["branch"], progress["message"]) == (4, "main", "later")
    assert {"mine", "given"} <= set(look.kinds(name))
    with make_client(port=1, retries=0).job(name) as again:
        assert (again.resume.source, again.resume.last_processed_id, again.resume.state) == ("spool", "p3", {"page": 4})


def test_a_relative_spool_stays_where_it_was_when_the_crawl_changes_its_directory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is made when a job starts, which may be after `os.chdir`."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with ProgressClient("http://127.0.0.1:1", token="x", spool="dir", retries=0, end_timeout=0.2) as client:
        monkeypatch.chdir(tmp_path / "elsewhere")
        with client.job(name) as job:
            job.advance("issues", 3)
            assert job.flush(0.2).on_disk
    assert len(list((tmp_path / "dir").glob("*.sqlite3"))) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []
