"""The parameters of a request's query string."""

import json
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import request

from tallymark.web.http.answers import Problem

if TYPE_CHECKING:
    from tallymark.functions.errors import Detail

#: The largest values of PostgreSQL's types integer and bigint; a larger number in a query counts as this one.
INTEGER = 2**31 - 1
BIGINT = 2**63 - 1
#: Reading a longer number is slow in Python, and past 4,300 digits it fails.
_MAX_DIGITS = 100
#: The id of a message about a job: the number of its last event, and the mark of that event.
_POSITION = re.compile(r"([0-9]{1,100})(?:-([0-9a-f]{1,15}))?")
#: How many unknown parameters an answer names: a query can have thousands.
_MAX_UNKNOWN = 20


def position_of(text: str) -> tuple[int, int | None] | None:
    """Return the number and the mark in the id of a message about a job; None if it is no such id."""
    match = _POSITION.fullmatch(text)
    return match and (min(int(match[1]), BIGINT), int(match[2], 16) if match[2] else None)


class Query:
    """The query parameters of the request at hand, as PostgreSQL takes them; None where one is missing or empty.

    Wrong ones are collected in `problems`, so that `check` reports all of them at once. A parameter that is not read
    before `check` is one that the route does not have.
    """

    def __init__(self) -> None:
        """Begin without problems."""
        self.problems: list[Detail] = []
        self._read: dict[str, None] = {}
        self._beginnings: list[str] = []

    def number(self, name: str, largest: int = INTEGER, *, may_be_empty: bool = False) -> bytes | None:
        """Return a whole number; one above `largest` counts as `largest`."""
        text = self._only(name)
        if text is None or (may_be_empty and not text):
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            self._refuse(name, "must be a whole number, 0 or greater")
            return None
        return b"%d" % min(int(text), largest)

    def text(self, name: str) -> bytes | None:
        """Return a text."""
        text = self._only(name) or ""
        if "\0" in text:
            self._refuse(name, "must not contain the character U+0000")
            return None
        return text.encode() or None

    def members(self, beginning: str) -> bytes | None:
        """Return the texts of the parameters whose names begin so and go on: a JSON object by the rest of the names."""
        self._read[f"{beginning}NAME"] = None
        self._beginnings.append(beginning)
        found: dict[str, str] = {}
        for name in filter(self._is_member, request.args):
            given = request.args.getlist(name)
            if len(given) > 1:
                self._refuse(name, "must be given at most once")
            elif "\0" in name + given[0]:
                self._refuse(name.replace("\0", ""), "must not contain the character U+0000")
            elif given[0]:
                found[name.removeprefix(beginning)] = given[0]
        return json.dumps(found).encode() if found else None

    def _is_member(self, name: str) -> bool:
        return any(name.startswith(beginning) and name != beginning for beginning in self._beginnings)

    def texts(self, name: str, *, with_empty: bool = False) -> bytes | None:
        """Return the texts of a parameter that may be repeated, as an array of PostgreSQL's.

        With `with_empty`, empty ones count: they use up the number of elements that a function allows.
        """
        texts = [text for text in self._given(name) if text or with_empty]
        if any("\0" in text for text in texts):
            self._refuse(name, "must not contain the character U+0000")
            return None
        escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
        return b"{%s}" % ",".join(f'"{text}"' for text in escaped).encode() if texts else None

    def instant(self, name: str) -> bytes | None:
        """Return a date and time in UTC; one without an offset is taken as UTC."""
        text = self._only(name)
        if not text:
            return None
        try:
            # A + that was not written as %2B has become a blank.
            instant = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC).isoformat().encode()
        except (ValueError, OverflowError):
            self._refuse(name, "must be a date and time in ISO 8601")
            return None

    def position(self, name: str) -> tuple[int, int | None] | None:
        """Return the id of a message about a job: the number of its last event, and the mark of that event if given."""
        text = self._only(name)
        if text is None:
            return None
        found = position_of(text)
        if found is None:
            self._refuse(name, "must be the id of an earlier message, or a whole number, 0 or greater")
        return found

    def cursor(self, name: str) -> bytes | None:
        """Return the cursor of a page. The database checks it, too; here it is reported with the other problems."""
        text = self._only(name) or ""
        try:
            bytes.fromhex(text).decode()
        except ValueError:
            self._refuse(name, "must be the next of an earlier page")
            return None
        return text.encode() or None

    def choice(self, name: str, *choices: str) -> str | None:
        """Return one of some texts."""
        text = self._only(name)
        if text and text not in choices:
            self._refuse(name, f"must be {' or '.join(choices)}")
            return None
        return text or None

    def check(self, *, others_allowed: bool = False) -> None:
        """Raise 400 with all problems, if there are any; unknown parameters are problems, too."""
        unknown = [name for name in request.args if name not in self._read and not self._is_member(name)]
        names = [] if others_allowed else unknown[:_MAX_UNKNOWN]
        sentences = [f"{problem['field']} {problem['problem']}" for problem in self.problems]
        there = f"the parameters are {', '.join(self._read)}" if self._read else "there are no parameters"
        for name in names:
            self._refuse(name, f"is not a parameter of this request: {there}")
        if names:
            # What there is stands once in the text that people read.
            which = f"{names[0]} is not a parameter" if len(names) == 1 else f"{', '.join(names)} are not parameters"
            sentences.append(f"{which} of this request: {there}")
        if self.problems:
            raise Problem(
                HTTPStatus.BAD_REQUEST, "Invalid query", details=self.problems, explanation="; ".join(sentences)
            )

    def _only(self, name: str) -> str | None:
        """Return the value of a parameter that may be given once."""
        given = self._given(name)
        if len(given) > 1:
            self._refuse(name, "must be given at most once")
            return None
        return given[0] if given else None

    def _given(self, name: str) -> list[str]:
        self._read[name] = None
        return request.args.getlist(name)

    def _refuse(self, name: str, problem: str) -> None:
        self.problems.append({"field": name, "problem": problem})
