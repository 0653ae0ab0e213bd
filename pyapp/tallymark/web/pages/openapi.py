"""The HTTP API as an OpenAPI document for programs, and as a page made from it for people. Neither needs a token.

The document, docs/openapi.json, is written by hand; tests hold it against a running server. The page has no script,
and loads nothing from other sites.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, Response, render_template, request
from markupsafe import Markup, escape

__all__ = ["add_openapi", "document_file"]

Node = Mapping[str, Any]

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A browser may keep it, but asks each time: another release has another document.
    "Cache-Control": "no-cache",
}
#: A URL without characters that mean something to HTML or a shell.
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")
#: Files that the page needs, beside its template.
_FILES = {"docs.css": "text/css; charset=utf-8", "docs.svg": "image/svg+xml"}
#: The server in the document's examples; the page replaces it with the address that it is served from.
_EXAMPLE_SERVER = "http://localhost:8000"

_CODE = re.compile(r"`([^`]+)`")
_SCHEMAS = "#/components/schemas/"
_RESPONSES = "#/components/responses/"
_LARGEST_EXACT = 2**53 - 1


def document_file() -> Path:
    """Return the OpenAPI document: of an installed wheel, or else of the checkout.

    Raises:
        FileNotFoundError: It is in neither place: the installation is broken.
    """
    package = Path(str(files("tallymark")))
    for root in (package, package.parent.parent):
        if (root / "docs" / "openapi.json").is_file():
            return root / "docs" / "openapi.json"
    raise FileNotFoundError(f"openapi.json is missing: neither in {package / 'docs'} nor beside {package.parent}")


def add_openapi(app: Flask) -> None:
    """Give an application the routes of the document and its page."""

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        """Return the document as it is."""
        return _answer(_document(), "application/json")

    @app.get("/docs")
    def get_docs() -> Response:
        """Return the page."""
        here = request.host_url.rstrip("/")
        page = _page().replace(_EXAMPLE_SERVER.encode(), here.encode()) if _PLAIN_URL.fullmatch(here) else _page()
        return _answer(page, "text/html; charset=utf-8")

    def add_file(name: str, content_type: str) -> None:
        @app.get(f"/{name}", endpoint=f"get_{name.replace('.', '_')}")
        def get_file() -> Response:
            """Return a file that the page needs."""
            return _answer(_file(name), content_type)

    for name, content_type in _FILES.items():
        add_file(name, content_type)


def _answer(body: bytes, content_type: str) -> Response:
    """Answer with what does not change while the process runs, or 304 if the client has it."""
    answer = Response(body, headers=_HEADERS, content_type=content_type)
    answer.set_etag(sha256(body).hexdigest()[:32])
    answer.make_conditional(request)
    return answer


@cache
def _document() -> bytes:
    return document_file().read_bytes()


@cache
def _page() -> bytes:
    return render_template("docs.html", reference=Reference(json.loads(_document()))).encode()


@cache
def _file(name: str) -> bytes:
    return (Path(__file__).parents[1] / "templates" / name).read_bytes()


class Field(NamedTuple):
    """A row of a table of fields."""

    name: str
    required: bool
    kind: Markup
    limits: Markup
    meaning: Markup


class Operation(NamedTuple):
    """An operation of the API; `node` is its part of the document."""

    method: str
    path: str
    scope: str
    node: Node

    @property
    def anchor(self) -> str:
        """The fragment of links to it."""
        return str(self.node["operationId"])


class Reference:
    """A document in the parts that the template of the page asks for."""

    def __init__(self, document: Node) -> None:
        """Take the document."""
        self.document = document

    def groups(self) -> list[tuple[Node, list[Operation]]]:
        """Return the tags in their order, each with its operations in the order of the document."""
        return [
            (tag, [operation for operation in self._operations() if tag["name"] in operation.node["tags"]])
            for tag in self.document["tags"]
        ]

    def resolve(self, node: Node) -> Node:
        """Return the node that a reference points to; members beside the reference override it."""
        if "$ref" not in node:
            return node
        target: Any = self.document
        for name in str(node["$ref"]).removeprefix("#/").split("/"):
            target = target[name]
        return {**self.resolve(target), **{key: value for key, value in node.items() if key != "$ref"}}

    def parameters(self, operation: Operation) -> list[Field]:
        """Return the parameters of an operation."""
        found = []
        for node in map(self.resolve, operation.node.get("parameters", [])):
            place = Markup("<code>{}</code> <small>{}</small>").format(node["name"], node["in"])
            found.append(self._field(place, {**node["schema"], **node}, node["schema"], node.get("required", False)))
        return found

    def shared_answers(self, operation: Operation) -> list[tuple[str, str, str]]:
        """Return the answers that an operation shares with others: their status, name and title."""
        names = [
            (status, node["$ref"].removeprefix(_RESPONSES))
            for status, node in operation.node["responses"].items()
            if "$ref" in node
        ]
        return [(status, name, self.title(name)) for status, name in names]

    def refusals(self) -> list[tuple[str, str, Node]]:
        """Return the shared answers: their name, status and node."""
        shared = {name: status for op in self._operations() for status, name, _ in self.shared_answers(op)}
        return [(name, shared[name], node) for name, node in self.document["components"]["responses"].items()]

    @staticmethod
    def title(name: str) -> str:
        """Return a name in CamelCase as separate words."""
        return re.sub("(?<=[a-z])(?=[A-Z])", " ", name).capitalize()

    def headers(self, answer: Node) -> list[tuple[str, Markup]]:
        """Return the headers of an answer with their descriptions."""
        return [
            (name, self.prose(self.resolve(header)["description"]))
            for name, header in answer.get("headers", {}).items()
        ]

    def fields(self, schema: Node) -> list[Field]:
        """Return the fields of a schema, with those of nested objects that are no schemas of their own."""
        return list(self._fields(schema, ""))

    def examples(self, content: Node) -> list[tuple[str, str]]:
        """Return the examples of a body, each with its title."""
        found = [("Example", content["example"])] if "example" in content else []
        named = content.get("examples", {})
        for name, example in named.items():
            title = f"Example: {name}" if len(named) > 1 else "Example"
            found.append((example.get("summary", title), example["value"]))
        return [(title, json.dumps(value, indent=2, ensure_ascii=False)) for title, value in found]

    def curl(self, operation: Operation) -> str:
        """Return the shell command that calls an operation."""
        path, query = operation.path, []
        for node in map(self.resolve, operation.node.get("parameters", [])):
            if node["in"] == "path":
                path = path.replace(f"{{{node['name']}}}", node["example"])
            elif node["in"] == "query" and node.get("required"):
                query.append(f"{node['name']}={node['example']}")
        address = _EXAMPLE_SERVER + path + ("?" + "&".join(query) if query else "")
        lines = [f"curl {address}" if not query else f"curl '{address}'"]
        if operation.scope:
            lines.append('-H "Authorization: Bearer $TOKEN"')
        for content_type, content in operation.node.get("requestBody", {}).get("content", {}).items():
            example = content.get("example") or next(iter(content["examples"].values()))["value"]
            lines += [f"-H 'Content-Type: {content_type}'", f"-d '{json.dumps(example)}'"]
        return " \\\n  ".join(lines)

    def kind(self, schema: Node) -> Markup:
        """Return the type of a value as text, with links to named schemas."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(_SCHEMAS)
            return Markup('<a href="#{0}">{0}</a>').format(name)
        for word in ("oneOf", "anyOf"):
            if word in schema:
                return Markup(" or ").join(dict.fromkeys(self.kind(choice) for choice in schema[word]))
        if "allOf" in schema:
            return Markup(" and ").join(self.kind(part) for part in schema["allOf"] if "$ref" in part)
        given = schema.get("type", "any JSON")
        parts = {"array": schema.get("items"), "object": schema.get("additionalProperties")}
        return Markup(" or ").join(
            Markup("{} of {}").format(word, self.kind(part)) if (part := parts.get(word)) else word
            for word in ([given] if isinstance(given, str) else given)
        )

    def limits(self, schema: Node) -> Markup:
        """Return the limits on a value beyond its type, as text."""
        parts = [
            _range(schema.get("minLength"), schema.get("maxLength"), "characters"),
            _range(schema.get("minItems"), schema.get("maxItems"), "elements"),
            _range(schema.get("minProperties"), schema.get("maxProperties"), "members"),
            _range(schema.get("minimum"), schema.get("maximum"), ""),
        ]
        if "default" in schema:
            parts.append(Markup("default {}").format(schema["default"]))
        # The type already says that it may be null.
        choices = [choice for choice in _choices(schema) if choice is not None]
        if choices:
            parts.append(Markup(", ").join(Markup("<code>{}</code>").format(choice) for choice in choices))
        return Markup("; ").join(part for part in parts if part)

    @staticmethod
    def prose(text: str) -> Markup:
        """Return a text as HTML, with code between backquotes."""
        return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped one step before

    def _operations(self) -> Iterator[Operation]:
        for path, methods in self.document["paths"].items():
            for method, node in methods.items():
                scopes = [scope for rule in node["security"] for scope in rule["token"]]
                yield Operation(method.upper(), path, " ".join(scopes), node)

    def _fields(self, schema: Node, prefix: str) -> Iterator[Field]:
        for part in schema.get("allOf", []):
            yield from self._fields(part, prefix)
        for name, node in schema.get("properties", {}).items():
            required = name in schema.get("required", [])
            yield self._field(Markup("<code>{}{}</code>").format(prefix, name), node, node, required)
            yield from self._fields(node, f"{prefix}{name}.")
            if "items" in node:
                yield from self._fields(node["items"], f"{prefix}{name}[].")

    def _field(self, name: Markup, node: Node, schema: Node, required: bool) -> Field:
        meaning = self.prose(self.resolve(node).get("description", ""))
        return Field(name, required, self.kind(schema), self.limits(schema), meaning)


def _choices(schema: Node) -> list[object]:
    if "const" in schema:
        return [schema["const"]]
    # In `anyOf`, the first enumeration has the canonical spellings.
    return list(schema.get("enum") or next((part["enum"] for part in schema.get("anyOf", []) if "enum" in part), []))


def _range(least: int | None, most: int | None, unit: str) -> str:
    shown = "2^53-1" if most == _LARGEST_EXACT else most
    if least is None and most is None:
        return ""
    if most is None:
        return f"{least} or more {unit}".rstrip()
    return (f"at most {shown} {unit}" if least is None else f"{least} to {shown} {unit}").rstrip()
