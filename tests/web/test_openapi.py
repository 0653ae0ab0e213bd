"""The OpenAPI document, and the page that shows it."""

import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import psycopg
import pytest

from tallymark.functions.tokens import create_token
from tallymark.settings import Settings
from tallymark.web import create_app
from tallymark.web.pages.openapi import document_file

if TYPE_CHECKING:
    from tests.web.conftest import Web

DOCUMENT: dict[str, Any] = json.loads(document_file().read_bytes())
#: Routes for people, which the document does not describe.
_PAGES = {
    *("/docs", "/docs.css", "/docs.svg", "/assets/<name>", "/sign-in", "/sign-out"),
    *("/", "/job", "/errors", "/history", "/areas", "/system"),
}


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    target: Any = DOCUMENT
    for name in node.get("$ref", "#/").removeprefix("#/").split("/"):
        target = target[name] if name else node
    found: dict[str, Any] = target
    return found


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Return a validator for a schema of the document, including the schemas that it refers to."""
    return jsonschema_rs.validator_for(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": DOCUMENT["components"], **schema},
        validate_formats=True,
    )


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body that the document describes, of requests and of answers."""
    for method, path, operation in _operations():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield f"{method} {path}", content
        for status, answer in operation["responses"].items():
            for content in _resolved(answer).get("content", {}).values():
                yield f"{method} {path} {status}", content


def _examples(content: dict[str, Any]) -> list[Any]:
    """Return the examples of a body."""
    named = [example["value"] for example in content.get("examples", {}).values()]
    return [*named, *([content["example"]] if "example" in content else [])]


def test_every_route_is_described_and_nothing_else() -> None:
    """The application and the document have the same operations."""
    app = create_app(Settings())
    there = {
        (method, re.sub(r"<[^>]+>", "{id}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule not in _PAGES
    }
    assert there == {(method, path) for method, path, _ in _operations()}


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_a_schema_is_one_and_its_examples_keep_to_it(name: str) -> None:
    """JSON Schema 2020-12, as in OpenAPI 3.1."""
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for example in schema.get("examples", []):
        _validator(schema).validate(example)


@pytest.mark.parametrize(("where", "content"), [pytest.param(*body, id=body[0]) for body in _bodies()])
def test_examples_of_bodies_keep_to_their_schemas(where: str, content: dict[str, Any]) -> None:
    """No example is invalid by the document itself."""
    for example in _examples(content):
        assert list(_validator(content["schema"]).iter_errors(example)) == [], where


def test_every_refusal_is_a_problem_with_an_example() -> None:
    """All errors have one form, and each has an example."""
    for method, path, operation in _operations():
        for status, node in operation["responses"].items():
            if status >= "400":
                content = _resolved(node)["content"]
                assert list(content) == ["application/problem+json"], (method, path, status)
                assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
                examples = _examples(content["application/problem+json"])
                assert {str(example["status"]) for example in examples} == {status}, (method, path, status)


def test_the_examples_of_requests_work(start_web: Callable[..., "Web"], db_url: str) -> None:
    """Sent to a new server in the document's order, each succeeds, and each answer is as described."""
    web = start_web(db_url)
    assert web.register("job_1").status == 201
    assert web.register("job_2").status == 201
    for method, path, operation in _operations():
        address = path.replace("{id}", "job_1")
        query = [
            f"{parameter['name']}={parameter['example']}"
            for parameter in map(_resolved, operation.get("parameters", []))
            if parameter["in"] == "query" and "example" in parameter
        ]
        bodies = [
            body
            for content in operation.get("requestBody", {}).get("content", {}).values()
            for body in _examples(content)
        ]
        for body in bodies or [None]:
            if path.endswith("/command"):  # the examples before it have ended the job
                web.report({"taskId": "job_1", "status": "started", "timestamp": "2025-01-06T20:00:00Z"})
            answer = web.call(method, f"{address}?{'&'.join(query)}", body)
            assert answer.status in {200, 201}, (method, path, answer.body)
            content = _resolved(operation["responses"][str(answer.status)])["content"][answer.headers["content-type"]]
            told = answer.json if "json" in answer.headers["content-type"] else answer.body.decode()
            assert list(_validator(content["schema"]).iter_errors(told)) == []


def test_each_operation_asks_for_the_scope_that_the_document_says(
    start_web: Callable[..., "Web"], db: psycopg.Connection[Any], db_url: str
) -> None:
    """A token with only that scope is accepted; one with all other scopes, unless they imply it, is not."""
    web = start_web(db_url)
    tokens = {scope: create_token(db, scope, [scope]) for scope in ("write", "read", "admin")}
    for method, path, operation in _operations():
        asked = [scope for rule in operation["security"] for scope in rule["token"]]
        for scope, token in tokens.items():
            answer = web.call(method, path.replace("{id}", "job_1"), "[]" if method == "POST" else None, token=token)
            let_in = not asked or scope in {*asked, "admin"}
            assert (answer.status != 403) == let_in, (method, path, scope)
            if not let_in:
                assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{asked[0]}"'
        assert (web.call(method, path, token=None).status == 401) == bool(asked)


def test_the_document_is_served_as_it_is_and_needs_no_token(web: "Web") -> None:
    """Byte for byte, with a tag so that no client gets it twice."""
    answer = web.call("GET", "/openapi.json", token=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == document_file().read_bytes()
    again = web.call("GET", "/openapi.json", token=None, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


class _Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        """Read it."""
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag."""
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.fixture
def page(web: "Web") -> _Page:
    """The page, as the server gives it."""
    answer = web.call("GET", "/docs", token=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; img-src 'self'")
    return _Page(answer.body.decode())


def test_the_page_has_no_script_no_inline_style_and_nothing_from_elsewhere(web: "Web", page: _Page) -> None:
    """So its content security policy can be very strict."""
    assert not {"script", "style", "iframe", "object", "embed", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]
    addresses = {value for name, value in page.attributes if name in {"href", "src"} and not value.startswith("#")}
    assert addresses == {"/docs.css", "/docs.svg", "/openapi.json"}
    for address in addresses:
        assert web.call("GET", address, token=None).status == 200


def test_every_operation_and_schema_has_its_place_on_the_page(page: _Page) -> None:
    """Each can be linked to, and no link is broken."""
    named = {operation["operationId"] for _, _, operation in _operations()} | set(DOCUMENT["components"]["schemas"])
    assert named <= set(page.ids)
    assert set(DOCUMENT["components"]["responses"]) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    links = {value.removeprefix("#") for name, value in page.attributes if name == "href" and value.startswith("#")}
    assert links <= set(page.ids)
