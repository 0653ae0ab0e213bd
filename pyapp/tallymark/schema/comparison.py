"""Compares two catalogues of the schema and says what differs, where that is written, and how to mend it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from tallymark.schema.catalogue import ROLE_ASPECTS, Catalogue, Entry
from tallymark.schema.files import source_of, sql_root
from tallymark.schema.repair import REINSTALLED, Repair, bare_name

#: Printed by the server's own deparser, which writes the same thing differently from one major version to the next.
VERSION_DEPENDENT = {"definition", "standard body"}

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
        fix: a command or statement that mends it, or an advice.
    """

    kind: str
    object: str
    problem: str
    expected: str
    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.kind} {self.object}: {self.problem}"


def compare(reference: Catalogue, installed: Catalogue) -> list[Finding]:
    """List the differences between the catalogue that the files give and an installed one.

    Args:
        reference: read from a database that was just made from the files.
        installed: read from the database under examination.

    Returns:
        One finding for each object and aspect that differs, in the order of the reference. What belongs to a missing
        or surplus table is not listed beside that table.
    """
    expected = reference.entries | {key: Entry(None, ROLE_ASPECTS) for key in reference.entries if key[0] == "role"}
    findings: list[Finding] = []
    for (kind, name), entry in expected.items():
        other = installed.entries.get((kind, name))
        if other is not None:
            findings += _differences(kind, name, entry, other, same_version=reference.server == installed.server)
        elif not _orphaned(entry, installed):
            source = _source(kind, name)
            findings.append(
                Finding(
                    kind,
                    name,
                    f"is missing{f', it is in {source}' if source else ''}",
                    "",
                    "",
                    Repair(kind, name, entry).make(),
                )
            )
    for (kind, name), entry in installed.entries.items():
        if (kind, name) not in expected and not _orphaned(entry, reference):
            findings.append(Finding(kind, name, "is in no file", "", "", Repair(kind, name, entry).drop()))
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
        fix = Repair(kind, name, expected, missing, surplus).of(aspect)
        yield Finding(kind, name, problem, left, right, fix)


def _comparable(entry: Entry, aspect: str, *, same_version: bool) -> Any:  # noqa: ANN401 - any aspect
    """An aspect, as far as two servers of different major versions give the same for the same files."""
    value: Any = entry.aspects.get(aspect)
    if same_version:
        return value
    if aspect == "grants":
        # A privilege that PostgreSQL 17 introduced, and that every owner has there.
        return [grant for grant in value or [] if not grant.startswith("MAINTAIN ")]
    return None if aspect in VERSION_DEPENDENT else value


def first_difference(expected: str, found: str) -> tuple[int, str, str]:
    """Find the first line in which two texts differ.

    Args:
        expected: the one text.
        found: the other.

    Returns:
        The line's number, from 1, and the line in either text, cut to a printable length.
    """
    pairs = zip_longest(expected.split("\n"), found.split("\n"), fillvalue="")
    for number, (left, right) in enumerate(pairs, start=1):
        if left != right:
            return number, _cut(left), _cut(right)
    return 0, "", ""


def _text(value: Any) -> str:  # noqa: ANN401 - any aspect
    """An aspect as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _cut(text: str) -> str:
    """A text as one short line."""
    line = " ".join(text.split("\n")).strip()
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _source(kind: str, name: str, body: str | None = None, line: int = 0) -> str:
    """Name the file, and where it can be told the line in it, that an object comes from."""
    path = source_of(bare_name(name)) if kind in REINSTALLED else None
    if path is None:
        return ""
    where = f"sql/{path.relative_to(sql_root())}"
    # The catalogue keeps a body byte by byte as it stands in the file.
    before, found, _ = path.read_text(encoding="utf-8").partition(body or "\0")
    return f"{where} at line {before.count(chr(10)) + line}" if found and line else where
