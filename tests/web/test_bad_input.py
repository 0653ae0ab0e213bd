"""Any input gets an answer that names the problem, never a 500, and leaves the job unchanged."""

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tallymark.settings import Settings
from tallymark.web.http.answers import Problem
from tallymark.web.http.bodies import Bodies

if TYPE_CHECKING:
    from tests.web.conftest import Web

Update = Callable[..., dict[str, object]]

_BODY = "Invalid request body"
_PAYLOAD = "Invalid progress payload"

#: An update with a place for the text of one more member.
_WITH = '{"taskId":"JOB","status":"processing","timestamp":"2025-01-06T19:20:00Z",%s}'
_DEEP = 100_000

_MEMBERS = {
    "a count that is text": ('"processedItems":"5"', _PAYLOAD),
    "a count that is a list": ('"processedItems":[5]', _PAYLOAD),
    "a count that is true": ('"totalItems":true', _PAYLOAD),
    "a count below zero": ('"processedItems":-1', _PAYLOAD),
    "a count with a fraction": ('"processedItems":1.5', _PAYLOAD),
    "a count of 2^53": ('"processedItems":9007199254740992', _PAYLOAD),
    "a count past 64 bits": ('"processedItems":99999999999999999999', _PAYLOAD),
    "a count past doubles": ('"processedItems":1e400', _PAYLOAD),
    "a count past numeric": ('"processedItems":1e131072', _BODY),
    "more processed than there is": ('"processedItems":2,"totalItems":1', _PAYLOAD),
    "a list of counts by type": ('"itemsByType":[1]', _PAYLOAD),
    "a count by type that is text": ('"itemsByType":{"issues":"1"}', _PAYLOAD),
    "a count by type below zero": ('"itemsByType":{"issues":-1}', _PAYLOAD),
    "a count by type past doubles": ('"itemsByType":{"issues":1e400}', _PAYLOAD),
    "a type without a name": ('"itemsByType":{"":1}', _PAYLOAD),
    "a type with a long name": (f'"itemsByType":{{"{"x" * 101}":1}}', _PAYLOAD),
    "201 types": (f'"itemsByType":{json.dumps(dict.fromkeys(map(str, range(201)), 1))}', _PAYLOAD),
    "a stage that is a number": ('"stage":5', _PAYLOAD),
    "a stage of 101 characters": (f'"stage":"{"x" * 101}"', _PAYLOAD),
    "an unknown operation": ('"operationType":"sleeping"', _PAYLOAD),
    "an error that is a number": ('"error":5', _PAYLOAD),
    "resume state of 70 KB": (f'"progress":"{"x" * 70_000}"', _PAYLOAD),
    "a timeline that is no list": ('"timeline":{}', _PAYLOAD),
    "an updateId without a character": ('"updateId":""', _PAYLOAD),
    "an updateId that is a number": ('"updateId":5', _PAYLOAD),
    "an updateId of 256 characters": (f'"updateId":"{"x" * 256}"', _PAYLOAD),
    "a workerId of 101 characters": (f'"workerId":"{"x" * 101}"', _PAYLOAD),
    "an unknown way of counting": ('"counting":"guess"', _PAYLOAD),
    "a number that is none": ('"x":NaN', _BODY),
    "a number without end": ('"x":Infinity', _BODY),
    "a number without beginning": ('"x":-Infinity', _BODY),
    "the character 0 in a value": ('"message":"a\\u0000b"', _BODY),
    "the character 0 in a name": ('"a\\u0000b":1', _BODY),
    "lists in lists": (f'"x":{"[" * _DEEP}{"]" * _DEEP}', _BODY),
    "objects in objects": ('"x":' + '{"a":' * _DEEP + "1" + "}" * _DEEP, _BODY),
    "a comment": ('"x":1/* one */', _BODY),
    "a comma too many": ('"x":1,', _BODY),
}
_OTHERS = {
    "an empty id": ('{"taskId":"","status":"processing","timestamp":"2025-01-06T19:20:00Z"}', _PAYLOAD),
    "an id of 256 characters": (
        f'{{"taskId":"{"x" * 256}","status":"processing","timestamp":"2025-01-06T19:20:00Z"}}',
        _PAYLOAD,
    ),
    "an id that is a number": ('{"taskId":5,"status":"processing","timestamp":"2025-01-06T19:20:00Z"}', _PAYLOAD),
    "a status that is a number": ('{"taskId":"JOB","status":5,"timestamp":"2025-01-06T19:20:00Z"}', _PAYLOAD),
    "a timestamp that is a number": ('{"taskId":"JOB","status":"processing","timestamp":1736190930}', _PAYLOAD),
    "a timestamp that is a word": ('{"taskId":"JOB","status":"processing","timestamp":"tomorrow"}', _PAYLOAD),
    "a timestamp without a character": ('{"taskId":"JOB","status":"processing","timestamp":""}', _PAYLOAD),
    "the 30th of February": (
        '{"taskId":"JOB","status":"processing","timestamp":"2025-02-30T00:00:00Z"}',
        _PAYLOAD,
    ),
    "25 o'clock": ('{"taskId":"JOB","status":"processing","timestamp":"2025-01-06T25:00:00Z"}', _PAYLOAD),
    "only brackets": ("[" * _DEEP, _BODY),
    "two documents": ("{} {}", _BODY),
    "white space": (" \n", _BODY),
}
_WRONG_BODIES = {
    "": "is empty",
    " \n": "is empty",
    '"text"': "must be a JSON object, or an array of updates",
    " 12": "must be a JSON object, or an array of updates",
    "null": "must be a JSON object, or an array of updates",
    "hello": "must be JSON",
}
_CASES = {**{name: (_WITH % member, error) for name, (member, error) in _MEMBERS.items()}, **_OTHERS}


@pytest.mark.parametrize("case", _CASES)
def test_what_is_wrong_is_said_and_changes_nothing(web: "Web", job: str, case: str) -> None:
    """400 with the field and the problem; the job's row and ledger stay the same, byte for byte."""
    body, error = _CASES[case]
    before = web.state(job)
    answer = web.report(body.replace("JOB", job))
    assert (answer.status, answer.json["error"]) == (400, error), answer.body
    assert answer.json["details"]
    assert all(set(detail) == {"field", "problem"} and detail["problem"] for detail in answer.json["details"])
    assert web.state(job) == before


@pytest.mark.parametrize("body", _WRONG_BODIES)
def test_a_body_that_is_no_update_is_told_what_it_must_be(web: "Web", job: str, update: Update, body: str) -> None:
    """400 with the one problem that there is. The next update is as usual."""
    answer = web.report(body)
    assert (answer.status, answer.json["details"]) == (400, [{"field": "", "problem": _WRONG_BODIES[body]}])
    assert answer.json["detail"] == f"the body {_WRONG_BODIES[body]}"
    assert web.report(update(job)).status == 200


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_text_in_another_coding_is_refused(web: "Web", job: str, update: Update, coding: str) -> None:
    """JSON is UTF-8; anything else is 400."""
    before = web.state(job)
    body = json.dumps(update(job, message="äöü", processedItems=9), ensure_ascii=False).encode(coding)
    answer = web.report(body)
    assert (answer.status, answer.json["error"]) == (400, _BODY)
    assert web.state(job) == before


@pytest.mark.parametrize("hidden", [b"\0", b"\0{}", b" \0"])
def test_a_byte_0_does_not_end_the_body_unseen(web: "Web", job: str, update: Update, hidden: bytes) -> None:
    """The part before it is a whole update, and is not accepted as one."""
    before = web.state(job)
    answer = web.report(json.dumps(update(job, processedItems=9)).encode() + hidden)
    assert (answer.status, answer.json["error"]) == (400, _BODY)
    assert web.state(job) == before


@pytest.mark.parametrize("length", ["-1", "+5", " 5", "1_0", "\u0665", "5.0", "x", "9" * 21, "9" * 5000])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    """400 from every server that forwards it; the body is not read to an end that may not come."""
    asked: list[int] = []

    class Input:
        def read(self, size: int) -> bytes:
            asked.append(size)
            return b""

    environ = {"CONTENT_LENGTH": length, "CONTENT_TYPE": "application/json", "wsgi.input": Input()}
    environ["wsgi.input_terminated"] = True
    with pytest.raises(Problem) as caught:
        Bodies(Settings(max_body_bytes=1000)).read_json(environ)
    assert caught.value.status == 400
    assert min(asked) > 0


def test_a_body_that_ends_too_early_changes_nothing(web: "Web", job: str, update: Update) -> None:
    """A connection that is cut in mid-body leaves the job unchanged, even if the part is a whole update."""
    before = web.state(job)
    body = json.dumps(update(job, processedItems=9)).encode()
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as cut:
        cut.sendall(_head(b"Content-Length: %d" % (len(body) + 1)) + body)
        cut.shutdown(socket.SHUT_WR)
        # When the server closes, too, it has finished with the request.
        answer = b"".join(iter(lambda: cut.recv(65536), b""))
    assert b" 200 " not in answer
    assert web.state(job) == before
    assert "Traceback" not in web.log.read_text()


def test_too_much_is_refused_before_it_is_sent_to_a_client_that_asks(web: "Web") -> None:
    """A client that waits for `100 Continue` learns that it need not send the body."""
    status, answer = web.raw(_head(b"Content-Length: 1000000000", b"Expect: 100-continue"))
    assert status == 413
    assert b"100 Continue" not in answer


def test_unknown_members_are_kept(web: "Web", job: str, update: Update) -> None:
    """Other members of an update become part of the job's progress."""
    assert web.report(update(job, timestamp="2025-01-06T19:20:00Z", colour={"hue": [1, None]})).status == 200
    assert web.call("GET", f"/api/internal/jobs/{job}").json["progress"]["colour"] == {"hue": [1, None]}


def test_of_a_member_given_twice_the_last_one_counts(web: "Web", job: str) -> None:
    """Most JSON readers do the same; it is no reason to lose an update."""
    body = (_WITH % '"processedItems":1,"processedItems":2').replace("JOB", job)
    assert web.report(body).status == 200
    assert web.call("GET", f"/api/internal/jobs/{job}").json["progress"]["processedItems"] == 2


def test_a_clock_that_runs_ahead_is_taken_with_a_warning(web: "Web", job: str, update: Update) -> None:
    """The update counts as if it had happened now."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    answer = web.report(update(job, timestamp=tomorrow))
    assert answer.status == 200
    assert "ahead" in answer.json["warnings"][0]
    assert web.call("GET", f"/api/internal/jobs/{job}").json["updatedAt"] < tomorrow


def _head(*lines: bytes) -> bytes:
    return b"\r\n".join(
        [
            b"POST /api/internal/jobs/progress HTTP/1.1",
            b"Host: x",
            b"Authorization: Bearer crawler-token",
            b"Content-Type: application/json",
            b"Connection: close",
            *lines,
            b"",
            b"",
        ]
    )
