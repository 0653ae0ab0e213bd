"""Half a surrogate pair, as JavaScript leaves it where it cuts a text, does not cost the counts beside it."""

import json
import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Web

_UPDATE = '{"taskId":"JOB","status":"processing","timestamp":"2025-01-06T19:20:00Z","itemsByType":{"issues":3},%s}'

#: A text as JSON has it, and what is kept of it.
_MENDED = {
    "the first half": (r"cut \ud83d", "cut \ufffd"),
    "the second half": (r"\ude00 cut", "\ufffd cut"),
    "large digits": (r"\uD83D", "\ufffd"),
    "mixed digits": (r"\uDb3D", "\ufffd"),
    "two first halves": (r"\ud83d\ud83d", "\ufffd\ufffd"),
    "two second halves": (r"\ude00\ude00", "\ufffd\ufffd"),
    "halves in the wrong order": (r"\ude00\ud83d", "\ufffd\ufffd"),
    "a half before a pair": (r"\ud83d\ud83d\ude00", "\ufffd😀"),
    "a half after a pair": (r"\ud83d\ude00\ude00", "😀\ufffd"),
    "a half before another escape": (r"\ud83d\n\u00e4", "\ufffd\nä"),
    "a half before what only looks like one": (r"\ud83d\\ude00", "\ufffd\\ude00"),
    "a half after a backslash": (r"\\\ud83d", "\\\ufffd"),
    "a half before a quote": (r"\ud83d\"", '\ufffd"'),
    "a half beside other text": (r"\ud83d äöü 😀 \u0041", "\ufffd äöü 😀 A"),
    "the bytes of a half": ("cut \ud83d.", "cut \ufffd."),
    "the bytes of two halves": ("\ud83d\ude00", "\ufffd\ufffd"),
    "the bytes and an escape": ("\ud83d\\ud83d", "\ufffd\ufffd"),
}
#: What only looks like half a pair is text as it is.
_AS_IT_IS = {
    "a pair": (r"\ud83d\ude00", "😀"),
    "an escaped backslash": (r"\\ud83d", r"\ud83d"),
    "two escaped backslashes": (r"\\\\ud83d", r"\\ud83d"),
    "U+FFFD": ("\\ufffd", "\ufffd"),
    "the last before the halves": (r"\ud7ff", "\ud7ff"),
    "the first after the halves": (r"\ue000", "\ue000"),
}
_WARNING = "U+FFFD"


def _body(job: str, member: str) -> bytes:
    return (_UPDATE % member).replace("JOB", job).encode(errors="surrogatepass")


def _progress(web: "Web", job: str) -> Any:  # noqa: ANN401 - any JSON
    return web.call("GET", f"/api/internal/jobs/{job}").json["progress"]


@pytest.mark.parametrize("case", _MENDED)
def test_half_a_pair_is_replaced_and_the_counts_are_taken(web: "Web", job: str, case: str) -> None:
    """With a warning. Sent again it is a duplicate, also where the crawler sends U+FFFD itself."""
    text, kept = _MENDED[case]
    first = web.report(_body(job, f'"message":"{text}"'))
    assert (first.status, first.json["duplicate"]) == (200, False), first.body
    assert [_WARNING in warning for warning in first.json["warnings"]] == [True]
    assert (_progress(web, job)["message"], _progress(web, job)["itemsByType"]) == (kept, {"issues": 6})
    state = web.state(job)
    again = web.report(_body(job, f'"message":"{text}"')).json
    assert (again["duplicate"], again["seq"], len(again["warnings"])) == (True, first.json["seq"], 1)
    whole = web.report(_body(job, f'"message":{json.dumps(kept)}')).json
    assert (whole["duplicate"], whole["seq"], whole["warnings"]) == (True, first.json["seq"], [])
    assert web.state(job) == state
    with psycopg.connect(web.database_url) as db:
        assert db.execute("SELECT tallymark.verify_job(%s)", [job]).fetchone() == (True,)


@pytest.mark.parametrize("case", _AS_IT_IS)
def test_what_only_looks_like_half_a_pair_is_kept_as_it_is(web: "Web", job: str, case: str) -> None:
    """Without a warning, also beside half a pair."""
    text, kept = _AS_IT_IS[case]
    answer = web.report(_body(job, f'"message":"{text}"'))
    assert (answer.status, answer.json["warnings"]) == (200, [])
    assert _progress(web, job)["message"] == kept
    answer = web.report(_body(job, f'"updateId":"2","message":"{text}","note":"\\ud83d"'))
    assert len(answer.json["warnings"]) == 1
    assert _progress(web, job)["message"] == kept


@pytest.mark.parametrize(
    ("member", "field"),
    [
        (r'"updateId":"\ud83d"', "updateId"),
        (r'"workerId":"\ud83d"', "workerId"),
        (r'"\ud83d":1', ""),
        (r'"itemsByType":{"\ud83d":1}', "itemsByType"),
        (r'"areas":[{"type":"group","name":"x","fullPath":"a/b","parentPath":"\ud83d"}]', "areas[0].parentPath"),
        (r'"areas":[{"type":"group","name":"x","fullPath":"\ud83d"}]', "areas[0].fullPath"),
        (r'"itemKeys":{"pages":["a","\ud83d"]}', "itemKeys.pages[1]"),
        (r'"itemKeys":{"\ud83d":["a"]}', "itemKeys"),
    ],
)
def test_what_tells_things_apart_is_not_replaced(web: "Web", job: str, member: str, field: str) -> None:
    """400, which names the field: two different ids would become the same, and one of them would not count."""
    before = web.state(job)
    answer = web.report(_body(job, member))
    assert (answer.status, answer.json["error"]) == (400, "Invalid request body")
    problem = r"has half a surrogate pair (such as \ud83d) in a name or an id: send whole characters"
    assert answer.json["details"] == [{"field": field, "problem": problem}]
    batch = web.report(b"[%b,%b]" % (_body(job, '"note":1'), _body(job, member)))
    assert [one["field"] for one in batch.json["details"]] == [f"[1].{field}" if field else "[1]"]
    assert web.state(job) == before
    refused = web.report(_body(r"\ud83d", '"note":1'))
    assert (refused.status, refused.json["details"][0]["field"]) == (400, "taskId")
    assert web.report(_body(job, '"note":1')).status == 200


@pytest.mark.parametrize("rest", [r',"a":"\u0000"', ",", "}", ',"n":1e400000', ',"x":"\udce4"'])
def test_other_faults_beside_half_a_pair_are_refused(web: "Web", job: str, rest: str) -> None:
    """400 as without it, and nothing changes. The next update is as usual."""
    before = web.state(job)
    body = _body(job, rf'"message":"\ud83d"{rest}').replace("\udce4".encode(errors="surrogatepass"), b"\xe4")
    answer = web.report(body)
    assert (answer.status, answer.json["error"]) == (400, "Invalid request body")
    assert web.state(job) == before
    assert web.report(_body(job, '"note":1')).status == 200


def test_in_a_batch_each_update_with_half_a_pair_is_warned_of(web: "Web", job: str) -> None:
    """The others are not, and a refused one has its own reasons."""
    parts = [r'"note":"whole"', r'"note":"\ud83d"', r'"stage":5,"note":"\ud83d"', r'"updateId":"x","note":["\ude00"]']
    body = b"[%b]" % b",".join(_body(job, part) for part in parts)
    whole, half, refused, other = web.report(body).json
    assert (whole["warnings"], len(half["warnings"]), len(other["warnings"])) == ([], 1, 1)
    assert (refused["status"], refused["details"][0]["field"]) == (400, "stage")
    assert "warnings" not in refused
    again = web.report(body).json
    assert [one.get("duplicate") for one in again] == [True, True, None, True]
    assert _progress(web, job)["itemsByType"] == {"issues": 12}


def test_the_rest_of_the_answer_is_as_it_was(web: "Web", job: str) -> None:
    """A restarted crawler gets its resume state back exactly, numbers included."""
    resume = (
        '{"tiny":1.10,"large":123456789012345678901234567890,"huge":1.5e300,"text":"1.10 \\"2\\" äöü 😀 \\\\u0000"}'
    )
    assert web.report(_body(job, f'"progress":{resume}')).status == 200
    started = '{"taskId":"JOB","status":"started","timestamp":"2025-01-06T19:30:00Z","updateId":"%s","message":"%s"}'
    plain = web.report((started % (1, "whole")).replace("JOB", job)).body.decode()
    half = web.report((started % (2, "\\ud83d")).replace("JOB", job)).body.decode()
    [warning] = json.loads(half)["warnings"]
    assert _WARNING in warning
    assert half.replace(f'["{warning}"]', "[]").replace('"seq": 4', '"seq": 3') == plain
    assert "1.10" in half
    assert "123456789012345678901234567890" in half


def test_a_job_is_registered_with_half_a_pair_in_its_attributes(web: "Web") -> None:
    """As a crawler's title that was cut; its id may not be cut."""
    job = f"job_{secrets.token_hex(8)}"
    for status in (201, 200):
        answer = web.call("POST", "/api/internal/jobs", rf'{{"taskId":"{job}","attributes":{{"title":"\ud83d"}}}}')
        assert (answer.status, answer.json["attributes"]) == (status, {"title": "\ufffd"})
    refused = web.call("POST", "/api/internal/jobs", r'{"taskId":"\ud83d"}')
    assert (refused.status, refused.json["details"][0]["field"]) == (400, "taskId")
    command = f"/api/internal/jobs/{job}/command"
    refused = web.call("POST", command, r'{"command":"\ud83d"}')
    assert (refused.status, refused.json["details"][0]["field"]) == (400, "command")
    refused = web.call("POST", command, r'{"command":"pause","\ud83d":1}')
    assert (refused.status, "surrogate" in refused.json["detail"]) == (400, True)
