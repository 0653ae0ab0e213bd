"""What is asked behind the `?` of a path: each parameter is taken by its kind, and every problem is named at once.

Parameters that nobody asked for are passed over. A text that is empty, as a form sends it, asks for nothing.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import request

from tallymark.web.http.problems import Problem

if TYPE_CHECKING:
    from tallymark.functions.errors import Detail

#: The largest of PostgreSQL's types integer and bigint: a number past it means as many as there are, too.
INTEGER = 2**31 - 1
BIGINT = 2**63 - 1
#: Python takes its time to read a longer number, and past 4,300 digits refuses.
_MOST_DIGITS = 100


class Query:
    """The query of the request that is being answered; values come out as the database takes them.

    Attributes:
        problems: What is wrong with those that were taken so far.
    """

    def __init__(self) -> None:
        """Look at the request's."""
        self.problems: list[Detail] = []

    def number(self, name: str, largest: int = INTEGER) -> bytes | None:
        """Take a whole number.

        Args:
            name: The parameter.
            largest: What a larger one counts as.

        Returns:
            Its digits; None where it is not given.
        """
        text = self._only(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            self._refuse(name, "must be a whole number, 0 or more")
            return None
        return b"%d" % min(int(text), largest)

    def text(self, name: str) -> bytes | None:
        """Take a text.

        Args:
            name: The parameter.

        Returns:
            The text in UTF-8; None where it is not given.
        """
        text = self._only(name) or ""
        if "\0" in text:
            self._refuse(name, "must not have the character 0")
            return None
        return text.encode() or None

    def texts(self, name: str, *, with_empty: bool = False) -> bytes | None:
        """Take texts, one for each time that the parameter is given.

        Args:
            name: The parameter.
            with_empty: Keep those that are empty, which count where there may be so many at most.

        Returns:
            The texts as an array of PostgreSQL's; None where there is none.
        """
        texts = [text for text in request.args.getlist(name) if text or with_empty]
        if any("\0" in text for text in texts):
            self._refuse(name, "must not have the character 0")
            return None
        escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
        return b"{%s}" % ",".join(f'"{text}"' for text in escaped).encode() if texts else None

    def instant(self, name: str) -> bytes | None:
        """Take a date and time.

        Args:
            name: The parameter.

        Returns:
            It, in UTC; None where it is not given.
        """
        text = self._only(name)
        if not text:
            return None
        try:
            # A + that was not written as %2B has become a blank.
            instant = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            # Without an offset it is UTC.
            return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC).isoformat().encode()
        except (ValueError, OverflowError):
            self._refuse(name, "must be a date and time in ISO 8601")
            return None

    def cursor(self, name: str) -> bytes | None:
        """Take the place where a page begins. The database judges it, too; here it is judged along with the others.

        Args:
            name: The parameter.

        Returns:
            It; None where it is not given.
        """
        text = self._only(name) or ""
        try:
            bytes.fromhex(text).decode()
        except ValueError:
            self._refuse(name, "must be the next of an earlier page")
            return None
        return text.encode() or None

    def check(self) -> None:
        """Refuse the request if anything was wrong with what was taken.

        Raises:
            Problem: 400, with every problem.
        """
        if self.problems:
            raise Problem(HTTPStatus.BAD_REQUEST, "Invalid query", details=self.problems)

    def _only(self, name: str) -> str | None:
        """Return what a parameter says that can be given once; which of several was meant nobody knows."""
        given = request.args.getlist(name)
        if len(given) > 1:
            self._refuse(name, "must be given at most once")
            return None
        return given[0] if given else None

    def _refuse(self, name: str, problem: str) -> None:
        self.problems.append({"field": name, "problem": problem})
