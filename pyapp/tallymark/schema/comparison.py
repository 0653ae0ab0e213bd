"""Compares two catalogues of the schema and says what differs, where that is written, and how to fix it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from psycopg import sql

from tallymark.schema.catalogue import ROLE_ASPECTS, Catalogue, Entry
from tallymark.schema.files import source_of, sql_root

#: Printed by the server's own deparser, which writes the same thing differently from one major version to the next.
VERSION_DEPENDENT = {"definition", "standard body"}

#: What every `tallymark migrate` installs again, with its comment and grants.
REINSTALLED = {"function", "procedure", "aggregate", "view", "view column"}

_MIGRATE = "tallymark migrate"
_RESTORE = "restore it from a backup; in a database without data: tallymark rollback, then tallymark migrate"

LONGEST = 160


@dataclass(frozen=True)
class Finding:
    """One difference between the database and the files.

    Attributes:
        kind: the kind of object, such as `function`, `index` or `role`.
        object: its signature, such as `tallymark.merge_progress(text, jsonb)`.
        problem: what differs, and from which file.
        expected: what the files give, cut to one short line; empty where nothing is expected.
        found: what the database has, likewise.
        fix: a command, a statement or a sentence.
    """

    kind: str
    object: str
    problem: str
    expected: str
    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.kind} {self.object}: {self.problem}"


def compare(reference: Catalogue, installed: Catalogue, *, roles: dict[str, Any] = ROLE_ASPECTS) -> list[Finding]:
    """List the differences between the catalogue that the files give and an installed one.

    There is one finding for each object and aspect that differs, in the order of the reference. What belongs to a
    missing or surplus table is not listed beside that table. `roles` is what each of our roles should be.
    """
    expected = reference.entries | {key: Entry(None, roles) for key in reference.entries if key[0] == "role"}
    findings: list[Finding] = []
    for (kind, name), entry in expected.items():
        other = installed.entries.get((kind, name))
        if other is not None:
            findings += _differences(kind, name, entry, other, same_version=reference.server == installed.server)
        elif not _orphaned(entry, installed):
            source = _source(kind, name)
            problem = f"is missing{f', it is in {source}' if source else ''}"
            findings.append(Finding(kind, name, problem, "", "", _fix(kind, name, entry)))
    for (kind, name), entry in installed.entries.items():
        if (kind, name) not in expected and not _orphaned(entry, reference):
            findings.append(Finding(kind, name, "is in no file", "", "", _drop(kind, name, entry)))
    return findings


def _orphaned(entry: Entry, catalogue: Catalogue) -> bool:
    """Whether what the object belongs to is itself missing from a catalogue."""
    return entry.parent is not None and all(name != entry.parent for _, name in catalogue.entries)


def _differences(kind: str, name: str, expected: Entry, found: Entry, *, same_version: bool) -> Iterator[Finding]:
    """Compare the aspects of an object that both catalogues have."""
    for aspect in expected.aspects:
        wanted, actual = (_comparable(entry, aspect, same_version=same_version) for entry in (expected, found))
        if wanted == actual:
            continue
        missing: list[str] = []
        surplus: list[str] = []
        if isinstance(wanted, list) and isinstance(actual, list):
            missing = [value for value in wanted if value not in actual]
            surplus = [value for value in actual if value not in wanted]
            parts = [f"{value} is missing" for value in missing] + [f"{value} is in no file" for value in surplus]
            problem = f"{aspect}: {', '.join(parts)}"
            left, right = _cut(", ".join(missing)), _cut(", ".join(surplus))
        else:
            line, left, right = first_difference(_text(wanted), _text(actual))
            source = _source(kind, name, _text(wanted) if aspect == "body" else None, line)
            where = f" from {source}" if source and aspect != "owner" else ""
            problem = f"{aspect.removeprefix('standard ')} differs{where}"
        yield Finding(kind, name, problem, left, right, _fix(kind, name, expected, aspect, missing, surplus))


def _comparable(entry: Entry, aspect: str, *, same_version: bool) -> Any:  # noqa: ANN401 - any aspect
    """An aspect, as far as two servers of different major versions give the same for the same files."""
    value: Any = entry.aspects.get(aspect)
    if same_version:
        return value
    if aspect == "grants":
        # PostgreSQL 17 introduced this privilege, and every owner has it there.
        return [grant for grant in value or [] if not grant.startswith("MAINTAIN ")]
    return None if aspect in VERSION_DEPENDENT else value


def first_difference(expected: str, found: str) -> tuple[int, str, str]:
    """Return the number of the first line in which two texts differ, from 1, and that line of either text, cut."""
    pairs = zip_longest(expected.split("\n"), found.split("\n"), fillvalue="")
    for number, (left, right) in enumerate(pairs, start=1):
        if left != right:
            return number, _cut(left), _cut(right)
    return 0, "", ""


def _text(value: Any) -> str:  # noqa: ANN401 - any aspect
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _cut(text: str) -> str:
    line = " ".join(text.split("\n")).strip()
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _source(kind: str, name: str, body: str | None = None, line: int = 0) -> str:
    """Name the file that an object comes from, with the line in it where that is known."""
    # A column of a view is in the view's file.
    path = source_of(_bare(name.rpartition(".")[0] if kind == "view column" else name)) if kind in REINSTALLED else None
    if path is None:
        return ""
    where = f"sql/{path.relative_to(sql_root())}"
    # The catalogue keeps a body byte by byte as it stands in the file.
    before, found, _ = path.read_text(encoding="utf-8").partition(body or "\0")
    return f"{where} at line {before.count(chr(10)) + line}" if found and line else where


def _bare(name: str) -> str:
    """The last part of a signature, such as `merge_progress` of `tallymark.merge_progress(text, jsonb)`."""
    return name.partition("(")[0].rsplit(".", 1)[-1].strip('"')


def _named(kind: str, name: str, entry: Entry) -> str:
    """An object as ALTER, COMMENT and DROP name it."""
    if kind in {"constraint", "trigger", "rule", "policy"}:
        return f"{kind.upper()} {_bare(name)} ON {entry.parent}"
    return f"{kind.upper().removesuffix(' OBJECT')} {name}"


def _drop(kind: str, name: str, entry: Entry) -> str:
    """Say how to remove an object that is in no file."""
    if kind == "default privileges":
        return "revoke them with ALTER DEFAULT PRIVILEGES IN SCHEMA tallymark"
    if kind == "view column":
        return f"DROP VIEW {entry.parent}; then {_MIGRATE}"
    if kind in {"constraint", "column"}:
        return f"ALTER TABLE {entry.parent} DROP {kind.upper()} {_bare(name)};"
    return f"DROP {_named(kind, name, entry)};"


def _fix(
    kind: str, name: str, entry: Entry, aspect: str = "", missing: Sequence[str] = (), surplus: Sequence[str] = ()
) -> str:
    """Say how to fix an aspect of an object, or how to make the object, where no aspect is named.

    `entry` is the object as it should be; `missing` and `surplus` are the members that a list lacks or has too many.
    """
    wanted, definition = entry.aspects.get(aspect), entry.aspects.get("definition")
    if aspect == "grants":
        return _grants(kind, name, entry, missing, surplus)
    if aspect == "owner":
        return f"ALTER {_named(kind, name, entry)} OWNER TO {wanted};"
    if kind in REINSTALLED:
        # CREATE OR REPLACE changes neither the result nor the names of the arguments, nor the type of a view's column.
        drop = _drop(kind, name, entry).removesuffix(f" then {_MIGRATE}")
        return f"{drop} then {_MIGRATE}" if aspect in {"arguments", "result", "type", "collation"} else _MIGRATE
    if aspect == "comment":
        return f"COMMENT ON {_named(kind, name, entry)} IS {sql.Literal(wanted).as_string()};"
    if aspect == "definition":
        return f"{_drop(kind, name, entry)} {_fix(kind, name, entry)}"
    table = f"ALTER TABLE {entry.parent or name}"
    column = f"{table} ALTER COLUMN {_bare(name)} {'SET' if wanted else 'DROP'}"
    options = ", ".join(missing or [option.partition("=")[0] for option in surplus])
    return {
        ("index", ""): f"{definition};",
        ("index", "valid"): f"REINDEX INDEX CONCURRENTLY {name};",
        ("constraint", ""): f"{table} ADD CONSTRAINT {_bare(name)} {definition};",
        ("constraint", "validated"): f"{table} VALIDATE CONSTRAINT {_bare(name)};",
        ("column", "not null"): f"{column} NOT NULL;",
        ("column", "default"): f"{column} DEFAULT{f' {wanted}' if wanted else ''};",
        ("table", "options"): f"{table} {'SET' if missing else 'RESET'} ({options});",
        ("column", "options"): f"{table} ALTER COLUMN {_bare(name)} {'SET' if missing else 'RESET'} ({options});",
        ("role", ""): f"CREATE ROLE {name} NOLOGIN;",
        ("role", "attributes"): f"ALTER ROLE {name} {' '.join(missing)};",
        ("role", "member of"): f"REVOKE {', '.join(surplus)} FROM {name};",
    }.get((kind, aspect), _RESTORE)


def _grants(kind: str, name: str, entry: Entry, missing: Sequence[str], surplus: Sequence[str]) -> str:
    """The statements that take away privileges that are in no file, and give those that are missing."""
    columns = f" ({_bare(name)})" if kind in {"column", "view column"} else ""
    target = {"column": entry.parent, "view column": entry.parent, "view": name}.get(kind, _named(kind, name, entry))
    statements = []
    for verb, preposition, grants in (("REVOKE", "FROM", surplus), ("GRANT", "TO", missing)):
        for grant in grants:
            privilege, _, role = grant.removesuffix(" with grant option").partition(" for ")
            role = entry.aspects["owner"] if role == "its owner" else role
            statements.append(f"{verb} {privilege}{columns} ON {target} {preposition} {role};")
    return " ".join(statements)
