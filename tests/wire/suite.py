"""Reads the cases, and plays them: every step is a request, and what is asked of its answer."""

import http.client
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from .values import BadCaseError, Json, Names, differences, fill

_HERE = Path(__file__).parent
JOBS = "/api/internal/jobs"
PROGRESS = f"{JOBS}/progress"
#: What an `update` is given where it does not say otherwise.
_UPDATE = {"taskId": "{job}", "status": "processing", "timestamp": "2025-01-06T19:15:30.000Z"}
#: The members that a `request` and an `answer` may have.
_REQUEST = {"method", "path", "headers", "body", "raw_body", "chunked"}
_ANSWER = {"like", "status", "headers", "body"}


@dataclass(frozen=True)
class Target:
    """A server, and the token that it knows."""

    url: str
    token: str


@dataclass(frozen=True)
class Case:
    """One promise, for one example of it.

    Attributes:
        name: The topic, the promise and the example.
        steps: What is sent, and what is to come back.
        jobs: The jobs that it needs, with their attributes; None for an id that nobody registers.
        needs: What it asks of the server's configuration; empty for what every server has.
        example: What the placeholders of this example stand for.
    """

    name: str
    steps: tuple[dict[str, Json], ...]
    jobs: Mapping[str, Json]
    needs: str = ""
    example: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back; the names of headers are in lower case, and a body that is no JSON is its text."""

    status: int
    headers: Mapping[str, str]
    body: Json


class FailedError(Exception):
    """A server does not answer as a case asks."""


def read_cases() -> Iterator[Case]:
    """Read all cases, in the order of their files.

    Yields:
        Each case.

    Raises:
        BadCaseError: A case is not written as README.md has it.
    """
    for path in sorted((_HERE / "cases").glob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            unknown = case.keys() - {"promise", "note", "jobs", "needs", "examples", "steps"}
            if unknown:
                raise BadCaseError(f"{path.name}: {case['promise']}: what is {sorted(unknown)}?")
            name = f"{path.stem}: {case['promise']}"
            rest = (tuple(case["steps"]), case.get("jobs", {"job": {}}), case.get("needs", ""))
            if "examples" not in case:
                yield Case(name, *rest)
            for example, values in case.get("examples", {}).items():
                yield Case(f"{name} ({example})", *rest, values)


def play(case: Case, target: Target) -> None:
    """Play a case against a server.

    Args:
        case: The case.
        target: The server.

    Raises:
        FailedError: An answer is another; the message says which, and how.
        BadCaseError: The case is not written as README.md has it.
    """
    answers = json.loads((_HERE / "answers.json").read_text())
    names: Names = {
        "now": datetime.now(UTC),
        "token": target.token,
        **{job: f"wire_{secrets.token_hex(8)}" for job in case.jobs},
    }
    for job, attributes in case.jobs.items():
        if attributes is not None:
            made = send(target, {"path": JOBS, "body": {"taskId": names[job], "attributes": attributes}})
            if made.status != http.HTTPStatus.CREATED:
                raise FailedError(f"registering {job}: {made}")
    names.update(case.example)
    for number, step in enumerate(case.steps, 1):
        request, wanted = _read_step(step, case.example)
        request = {**fill({name: request[name] for name in request if name != "path"}, names), **_path(request, names)}
        body = request.get("body")
        local = {**names, "taskId": body.get("taskId")} if isinstance(body, dict) else names
        answer = send(target, request)
        kept: Names = {}
        found = list(_judge(fill(_in_full(wanted, answers), local), answer, kept))
        if found:
            said = json.dumps(request, ensure_ascii=False).replace(target.token or "\n", "{token}")
            raise FailedError(f"step {number}: {said[:1000]}\n" + "\n".join(f"  {line}" for line in found))
        names.update(kept)


def _read_step(step: Mapping[str, Json], example: Mapping[str, Json]) -> tuple[dict[str, Json], Json]:
    """Return the request of a step, and what is asked of its answer."""
    [kind] = step.keys() - {"answer", "headers"}
    given = step[kind]
    if isinstance(given, str) and kind in {"update", "batch"}:
        given = example.get(given[1:-1], given)
    wanted = step.get("answer", "accepted" if kind == "update" else {})
    request: dict[str, Json]
    match kind:
        case "update":
            request = {"body": {**_UPDATE, **given}}
        case "batch":
            request = {"body": _completed(given, example)}
        case "command":
            request = {"path": f"{JOBS}/{{job}}/command", "body": {"command": given}}
        case "get":
            request = {"path": f"{JOBS}/{given}"}
        case "job":
            request, wanted = {"path": f"{JOBS}/{{job}}"}, {"body": given}
        case "events":
            request, wanted = {"path": f"{JOBS}/{{job}}/timeline"}, {"body": {"events": given}}
        case "request" if given.keys() <= _REQUEST:
            request = given
        case _:
            raise BadCaseError(f"what is a step {kind} of {given}?")
    headers = {"headers": step["headers"]} if "headers" in step else {}
    return {"path": PROGRESS, **request, **headers}, wanted


def _completed(batch: Json, example: Mapping[str, Json]) -> Json:
    """Return a batch with each update in it completed, as an `update` is."""
    if isinstance(batch, dict):
        return {**batch, "of": _completed(batch["of"], example)}
    updates = (example.get(one[1:-1], one) if isinstance(one, str) else one for one in batch)
    return [{**_UPDATE, **one} if isinstance(one, dict) else one for one in updates]


def _path(request: Mapping[str, Json], names: Names) -> dict[str, str]:
    """Return the path of a request; what is filled in has no meaning there, unless it is all of it."""
    path = request["path"]
    path = names.get(path[1:-1], path)
    safe = {name: quote(str(fill(value, names)), safe="") for name, value in names.items() if name != "now"}
    return {"path": quote(fill(path, safe), safe="/?&=%")}


def _in_full(wanted: Json, answers: Mapping[str, Json]) -> dict[str, Json]:
    """Return what is asked of an answer, with the named answer that it is like."""
    wanted = {"like": wanted} if isinstance(wanted, str) else wanted
    if not wanted.keys() <= _ANSWER:
        raise BadCaseError(f"what is an answer {wanted}?")
    if "like" not in wanted:
        return dict(wanted)
    if wanted["like"] not in answers:
        raise BadCaseError(f"no answer is called {wanted['like']}")
    base = answers[wanted["like"]]
    body = wanted.get("body", {})
    return {
        "status": wanted.get("status", base["status"]),
        "headers": {**base.get("headers", {}), **wanted.get("headers", {})},
        "body": {**base.get("body", {}), **body},
    }


def _judge(wanted: Mapping[str, Json], answer: Answer, kept: Names) -> Iterator[str]:
    status = wanted.get("status", 200)
    if status != answer.status:
        yield f"status: wanted {status}, got {answer.status} with {str(answer.body)[:1000]}"
        return
    for name, value in wanted.get("headers", {}).items():
        got = {name: answer.headers[name.lower()]} if name.lower() in answer.headers else {}
        yield from differences({name: value}, got, kept, "headers")
    if "body" in wanted:
        yield from differences(wanted["body"], answer.body, kept)
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        yield from _judge_problem(answer)
    elif answer.body and not answer.headers.get("content-type", "").startswith("application/json"):
        yield f"headers: wanted application/json, got {answer.headers.get('content-type')}"


def _judge_problem(answer: Answer) -> Iterator[str]:
    """Tell what keeps an error from being an RFC 9457 problem with the members of the wire protocol."""
    content_type = answer.headers.get("content-type", "")
    if not content_type.startswith("application/problem+json"):
        yield f"headers: wanted application/problem+json, got {content_type}"
    problem = {"type": "$string", "title": "$string", "status": answer.status, "detail": "$string", "error": "$string"}
    yield from differences(problem, answer.body, {})
    details = answer.body.get("details", []) if isinstance(answer.body, dict) else []
    yield from differences({"$each": {"field": {"$matches": ""}, "problem": "$string"}}, details, {}, "body.details")


def send(target: Target, request: Mapping[str, Json]) -> Answer:
    """Send a request over a connection of its own.

    Args:
        target: Where to.
        request: The members of README.md, with nothing left to fill in.

    Returns:
        The answer.

    Raises:
        OSError: There is no answer.
    """
    place = urlsplit(target.url)
    headers: dict[str, str | None] = {"Authorization": f"Bearer {target.token}"}
    body: Any = None
    if "raw_body" in request:
        body = request["raw_body"].encode()
    elif "body" in request:
        body = json.dumps(request["body"]).encode()
    if body is not None:
        headers["Content-Type"] = "application/json"
    headers.update(request.get("headers", {}))
    make = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = make(place.hostname or "localhost", place.port, timeout=60)
    chunked = request.get("chunked", False)
    try:
        connection.request(
            request.get("method", "GET" if body is None else "POST"),
            place.path.rstrip("/") + request["path"],
            iter([body]) if chunked else body,
            {name: value for name, value in headers.items() if value is not None},
            encode_chunked=chunked,
        )
        answer = connection.getresponse()
        content = answer.read()
        names = {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
    try:
        return Answer(answer.status, names, json.loads(content) if content else None)
    except ValueError:
        return Answer(answer.status, names, content.decode(errors="replace"))
