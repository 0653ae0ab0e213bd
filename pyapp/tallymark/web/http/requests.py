"""The parameters of a request's query string."""

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


class Query:
    """The query parameters of the request at hand, as PostgreSQL takes them; None where one is missing or empty.

    Wrong ones are collected in `problems`, so that `check` reports all of them at once. Unknown ones are ignored.
    """

    def __init__(self) -> None:
        """Begin without problems."""
        self.problems: list[Detail] = []

    def number(self, name: str, largest: int = INTEGER) -> bytes | None:
        """Return a whole number; one above `largest` counts as `largest`."""
        text = self._only(name)
        if text is None:
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

    def texts(self, name: str, *, with_empty: bool = False) -> bytes | None:
        """Return the texts of a parameter that may be repeated, as an array of PostgreSQL's.

        With `with_empty`, empty ones count: they use up the number of elements that a function allows.
        """
        texts = [text for text in request.args.getlist(name) if text or with_empty]
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

    def cursor(self, name: str) -> bytes | None:
        """Return the cursor of a page. The database checks it, too; here it is reported with the other problems."""
        text = self._only(name) or ""
        try:
            bytes.fromhex(text).decode()
        except ValueError:
            self._refuse(name, "must be the next of an earlier page")
            return None
        return text.encode() or None

    def check(self) -> None:
        """Raise 400 with all problems, if there are any."""
        if self.problems:
            raise Problem(HTTPStatus.BAD_REQUEST, "Invalid query", details=self.problems)

    def _only(self, name: str) -> str | None:
        """Return the value of a parameter that may be given once."""
        given = request.args.getlist(name)
        if len(given) > 1:
            self._refuse(name, "must be given at most once")
            return None
        return given[0] if given else None

    def _refuse(self, name: str, problem: str) -> None:
        self.problems.append({"field": name, "problem": problem})
