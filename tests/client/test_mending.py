"""A refused update is mended: counts, cursor, state and the end are not lost with a bad field."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from tallymark import Job
from tallymark.client.mending import first_id, mend
from tallymark.client.progress import Progress
from tallymark.client.records import Waiting
from tallymark.client.transport import Answer
from tallymark.client.updates import prepare

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make
    from tests.client.test_client import Spy
    from tests.web.conftest import Web


def smuggle(job: Job, **fields: Any) -> None:  # noqa: ANN401 - any JSON
    """Report fields without the client's checks, as if the server had a stricter rule than the client knows."""
    job._run.say(Progress.give, prepare(fields))


def test_one_bad_entry_of_a_list_costs_only_itself(make_client: "Make", name: str, look: "Look") -> None:
    """40 counts with their cursor, and two good events, arrive; `flush` says what was refused."""
    with make_client().job(name) as job:
        for number in range(1, 41):
            job.advance("issues", 1, last_id=number)
        good = {"timestamp": "2025-01-06T19:15:30Z", "event": "good", "details": {}}
        smuggle(
            job, timeline=[good, {**good, "event": "e" * 101}, {**good, "event": "fine"}, {**good, "timestamp": "?"}]
        )
        flushed = job.flush()
        assert not flushed
        assert flushed.on_server
        assert any("timeline[1].event must be a string of 1 to 100 characters" in why for why in flushed.refused)
        refused = [payload for payload, _answer in job.refused()]
        assert [[event["event"] for event in payload["timeline"]] for payload in refused] == [["e" * 101, "good"]]
        assert look.counts(name) == ({"issues": 40}, 40)
        assert look(name)["progress"]["lastProcessedId"] == "40"
        assert {"good", "fine"} <= set(look.kinds(name))
        job.advance("issues", 1, last_id=41)
        assert job.flush(), "what was refused before is not told again"
    assert look.counts(name) == ({"issues": 41}, 41)


def test_bad_areas_cost_only_themselves(make_client: "Make", name: str, look: "Look") -> None:
    """300 of 600 are bad: more than one refusal names. If all are bad, the job goes on without them."""
    good = [{"type": "project", "fullPath": f"acme/{number}"} for number in range(300)]
    bad = [{"type": "project", "fullPath": "x" * 1001} for _ in range(300)]
    mixed = [area for pair in zip(good, bad, strict=True) for area in pair]
    with make_client().job(name) as job:
        job.advance("issues", 3)
        job._run.say(Progress.discover, [mixed, bad[:5]])
        flushed = job.flush()
        assert flushed.on_server
        assert not flushed
        job.advance("issues", 3)
    assert look.counts(name) == ({"issues": 6, "projects": 300, "groups": 0}, 6)
    assert look(name)["status"] == "finished"


def test_a_worker_never_loses_its_name() -> None:
    """Two workers would become one, and their totals a maximum. Rather the update is refused, and that is told."""
    row = Waiting(1, "u", json.dumps({"taskId": "j", "status": "processing", "workerId": "w" * 105, "x": 1}))
    answer = {"status": 400, "details": [{"field": "workerId", "problem": "must be shorter"}]}
    mended = mend(row, answer)
    assert mended is not None
    assert json.loads(mended.text)["workerId"] == "w" * 105
    assert mend(Waiting(1, mended.update_id, mended.text), answer) is None


@pytest.mark.parametrize(
    ("payload", "fields", "kept"),
    [
        ({"itemKeys": {"pages": ["a", "b", "c"]}}, ["itemKeys.pages[1]"], {"itemKeys": {"pages": ["a", "c"]}}),
        ({"itemKeys": {"a": ["x"], "b": ["y"]}}, ["itemKeys.a[0]"], {"itemKeys": {"b": ["y"]}}),
        ({"itemsByType": {"a.b": 1, "a": 2}}, ["itemsByType.a.b"], {"itemsByType": {"a": 2}}),
        ({"itemsByType": {"t" * 101: 1, "a": 2}}, [f"itemsByType.{'t' * 100}"], {"itemsByType": {"a": 2}}),
        ({"credentialStatus": {"type": 1, "x": 2}}, ["credentialStatus.type"], {"credentialStatus": {"x": 2}}),
        ({"processedItems": 5, "totalItems": 3}, ["processedItems"], {"processedItems": 5}),
        ({"areas": [1, 2], "stage": "s"}, ["areas[0]", "areas[1].type", "areas[0]"], {"stage": "s"}),
        (
            {"progress": {"a": 1}, "lastProcessedId": "c", "x": 1},
            ["", "what[3]", "progress"],
            {"progress": {"a": 1}, "lastProcessedId": "c"},
        ),
    ],
)
def test_exactly_what_a_refusal_names_is_left_out(
    payload: dict[str, Any], fields: list[str], kept: dict[str, Any]
) -> None:
    """Entries of lists by their index, members of objects by their names, also with dots. Counts and state stay."""
    envelope = {"taskId": "j", "status": "processing", "timestamp": "t", "updateId": "u"}
    mended = mend(
        Waiting(1, "u", json.dumps({**envelope, **payload})),
        {"status": 400, "details": [{"field": field, "problem": "is bad"} for field in fields]},
    )
    assert mended is not None
    assert first_id(mended.update_id) == "u"
    assert json.loads(mended.text) == {**envelope, "updateId": mended.update_id, **kept}


class Picky:
    """Real HTTP, and an answer of its own for some updates."""

    def __init__(self, inner: "Spy", refuse: str, status: int) -> None:
        """Refuse, with this status, updates that have this text in them."""
        self._inner = inner
        self._refuse = refuse
        self._status = status

    def post(self, path: str, body: str, *, timeout: float) -> Answer:
        """Send what is not refused."""
        if self._refuse not in body:
            return self._inner.post(path, body, timeout=timeout)
        problem = {"status": self._status, "error": "Refused", "title": "Refused"}
        return Answer(self._status, problem)

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()


@pytest.mark.parametrize("status", [400, 413])
def test_the_last_resort_is_an_update_of_counts_cursor_state_and_status(
    make_client: "Make", name: str, look: "Look", web: "Web", status: int
) -> None:
    """The refusal names nothing, or comes from a proxy that takes less than the server."""
    from tests.client.test_client import Spy

    client = make_client(transport=Picky(Spy(web.port), "poison", status))
    with client.job(name) as job:
        job.advance("issues", 3, last_id="3")
        job.checkpoint({"page": 1})
        job.report(extra="poison")
        flushed = job.flush()
        assert flushed.on_server
        assert len(flushed.refused) == 1
        assert [payload["extra"] for payload, _answer in job.refused()] == ["poison"]
        progress = look(name)["progress"]
        assert (progress["itemsByType"], progress["lastProcessedId"]) == ({"issues": 3}, "3")
        assert look(name)["resumeState"] == {"page": 1}
        job.complete(note="poison")
    assert look(name)["status"] == "finished"


@pytest.mark.parametrize(("end", "status"), [("complete", "finished"), ("pause", "paused"), ("fail", "failed")])
def test_a_job_ends_even_if_its_last_counts_are_refused(
    make_client: "Make", name: str, look: "Look", web: "Web", end: str, status: str
) -> None:
    """The status alone is sent; the counts are kept as refused, and told."""
    from tests.client.test_client import Spy

    client = make_client(transport=Picky(Spy(web.port), "poison", 400))
    with client.job(name) as job:
        job.advance("good", 2)
        assert job.flush()
        job.advance("poison", 3)
        getattr(job, end)(*(["broken"] if end == "fail" else []))
        assert any(payload.get("itemsByType") == {"poison": 3} for payload, _answer in job.refused())
    assert look(name)["status"] == status
    assert look.counts(name)[0] == {"good": 2}
