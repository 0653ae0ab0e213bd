"""An OpenAPI document as people read it: operations by their tags, and schemas as tables of fields."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup, escape

Node = Mapping[str, Any]

_CODE = re.compile(r"`([^`]+)`")
_SCHEMAS = "#/components/schemas/"
_RESPONSES = "#/components/responses/"
#: Where people type the commands, these stand for what is theirs.
EXAMPLE_SERVER = "http://localhost:8000"
_LARGEST_EXACT = 2**53 - 1


class Field(NamedTuple):
    """A line of a table of fields."""

    name: str
    required: bool
    kind: Markup
    limits: Markup
    meaning: Markup


class Operation(NamedTuple):
    """Something that can be called; `node` is what the document says of it."""

    method: str
    path: str
    scope: str
    node: Node

    @property
    def anchor(self) -> str:
        """What a link to it ends with."""
        return str(self.node["operationId"])


class Reference:
    """A document, and what its page asks of it."""

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
        """Return what a node says, where it is a reference with what stands beside it going first."""
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
        """Return those answers of an operation that others have, too: their status, name and title."""
        names = [
            (status, node["$ref"].removeprefix(_RESPONSES))
            for status, node in operation.node["responses"].items()
            if "$ref" in node
        ]
        return [(status, name, self.title(name)) for status, name in names]

    def refusals(self) -> list[tuple[str, str, Node]]:
        """Return the answers that several operations have: their name, their status, and what they say."""
        shared = {name: status for op in self._operations() for status, name, _ in self.shared_answers(op)}
        return [(name, shared[name], node) for name, node in self.document["components"]["responses"].items()]

    @staticmethod
    def title(name: str) -> str:
        """Return a name as words."""
        return re.sub("(?<=[a-z])(?=[A-Z])", " ", name).capitalize()

    def headers(self, answer: Node) -> list[tuple[str, Markup]]:
        """Return the headers of an answer, each with its meaning."""
        return [
            (name, self.prose(self.resolve(header)["description"]))
            for name, header in answer.get("headers", {}).items()
        ]

    def fields(self, schema: Node) -> list[Field]:
        """Return the fields of a schema, those of nested objects that have no name of their own among them."""
        return list(self._fields(schema, ""))

    def examples(self, content: Node) -> list[tuple[str, str]]:
        """Return the examples of a body, each with what it shows."""
        found = [("Example", content["example"])] if "example" in content else []
        named = content.get("examples", {})
        for name, example in named.items():
            title = f"Example: {name}" if len(named) > 1 else "Example"
            found.append((example.get("summary", title), example["value"]))
        return [(title, json.dumps(value, indent=2, ensure_ascii=False)) for title, value in found]

    def curl(self, operation: Operation) -> str:
        """Return how an operation is called in a shell."""
        path, query = operation.path, []
        for node in map(self.resolve, operation.node.get("parameters", [])):
            if node["in"] == "path":
                path = path.replace(f"{{{node['name']}}}", node["example"])
            elif node["in"] == "query" and node.get("required"):
                query.append(f"{node['name']}={node['example']}")
        address = EXAMPLE_SERVER + path + ("?" + "&".join(query) if query else "")
        lines = [f"curl {address}" if not query else f"curl '{address}'"]
        if operation.scope:
            lines.append('-H "Authorization: Bearer $TOKEN"')
        for content_type, content in operation.node.get("requestBody", {}).get("content", {}).items():
            example = content.get("example") or next(iter(content["examples"].values()))["value"]
            lines += [f"-H 'Content-Type: {content_type}'", f"-d '{json.dumps(example)}'"]
        return " \\\n  ".join(lines)

    def kind(self, schema: Node) -> Markup:
        """Return what a value is, in words, with links to the schemas that have names."""
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
        """Return what is asked of a value beyond its type, in words."""
        parts = [
            _range(schema.get("minLength"), schema.get("maxLength"), "characters"),
            _range(schema.get("minItems"), schema.get("maxItems"), "elements"),
            _range(schema.get("minProperties"), schema.get("maxProperties"), "members"),
            _range(schema.get("minimum"), schema.get("maximum"), ""),
        ]
        if "default" in schema:
            parts.append(Markup("default {}").format(schema["default"]))
        # Null is said of the type.
        choices = [choice for choice in _choices(schema) if choice is not None]
        if choices:
            parts.append(Markup(", ").join(Markup("<code>{}</code>").format(choice) for choice in choices))
        return Markup("; ").join(part for part in parts if part)

    @staticmethod
    def prose(text: str) -> Markup:
        """Return a text with what stands between backquotes as code."""
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
    # A choice that is spelled in other ways, too, stands first.
    return list(schema.get("enum") or next((part["enum"] for part in schema.get("anyOf", []) if "enum" in part), []))


def _range(least: int | None, most: int | None, unit: str) -> str:
    shown = "2^53-1" if most == _LARGEST_EXACT else most
    if least is None and most is None:
        return ""
    if most is None:
        return f"{least} or more {unit}".rstrip()
    return (f"at most {shown} {unit}" if least is None else f"{least} to {shown} {unit}").rstrip()
