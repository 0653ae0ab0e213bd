"""The one table from SQLSTATE to Python exception and HTTP status.

A refusal of ours has the SQLSTATE `TK` plus its HTTP status, and carries what to tell the caller. Other errors are
looked up: first the whole SQLSTATE, then its class (its first two characters). Nothing reads their messages, since
those are in the server's language.
"""

import json
from collections.abc import Callable, Mapping
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

import psycopg
from psycopg.pq import DiagnosticField, abc

Detail = dict[str, str]


class Remedy(Enum):
    """Where the same statement may succeed when it is repeated at once."""

    NONE = "none"
    SAME_CONNECTION = "the same connection"
    PREPARED_AGAIN = "the same connection, where it is prepared again first"
    NEW_CONNECTION = "a new connection"


class TallymarkError(Exception):
    """A call failed and changed nothing. The text is what the wire protocol answers as `error`.

    Attributes:
        sqlstate: The SQLSTATE; None where PostgreSQL gave none.
        http_status: The status that HTTP answers.
        details: Every problem, as `{"field", "problem"}`; empty where no field is at fault.
        explanation: One more sentence about the cause; may be empty.
        hint: What to do about it; may be empty.
        remedy: Whether repeating the same statement may help.
        origin: For the log: where in PostgreSQL it came from, without any value of the caller's.
    """

    http_status: int = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str | None = None,
        details: list[Detail] | None = None,
        explanation: str = "",
        hint: str = "",
        remedy: Remedy = Remedy.NONE,
        origin: str = "",
    ) -> None:
        """Make one; the arguments are the attributes."""
        super().__init__(message)
        self.sqlstate = sqlstate
        self.details = details or []
        self.explanation = explanation
        self.hint = hint
        self.remedy = remedy
        self.origin = origin


class InvalidUpdate(TallymarkError):  # noqa: N818 - reads as what it is in an except clause, as all below
    """The update, or another argument, is invalid; `details` names every problem."""

    http_status = HTTPStatus.BAD_REQUEST


class JobNotFound(TallymarkError):  # noqa: N818
    """There is no job with this id."""

    http_status = HTTPStatus.NOT_FOUND


class Conflict(TallymarkError):  # noqa: N818
    """The job's state does not allow this."""

    http_status = HTTPStatus.CONFLICT


class PayloadTooLarge(TallymarkError):  # noqa: N818
    """The update is larger than the limit."""

    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Refused(TallymarkError):  # noqa: N818
    """A refusal with an HTTP status that has no class of its own."""

    def __init__(self, message: str, *, sqlstate: str, **rest: object) -> None:
        super().__init__(message, sqlstate=sqlstate, **rest)  # type: ignore[arg-type]  # passed through
        self.http_status = int(sqlstate[2:])


class Unavailable(TallymarkError):  # noqa: N818
    """The database is away or busy. What was sent is not at fault: send it again later."""

    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class NotGranted(Unavailable):
    """The user of the database may not call a function; `lacks` is the role or right it needs, where that is known."""

    def __init__(self, message: str, *, lacks: str = "", **rest: object) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]  # passed through
        self.lacks = lacks


class _Rule(NamedTuple):
    """What a SQLSTATE of PostgreSQL's own becomes."""

    kind: type[TallymarkError]
    message: str
    problem: str = ""
    explanation: str = ""
    remedy: Remedy = Remedy.NONE


def _body(problem: str) -> _Rule:
    return _Rule(InvalidUpdate, "Invalid request body", problem)


def _lacks(explanation: str) -> _Rule:
    return _Rule(Unavailable, "Database unavailable", explanation=explanation)


_AWAY = _Rule(Unavailable, "Database unavailable", remedy=Remedy.NEW_CONNECTION)
_BUSY = _Rule(Unavailable, "Database busy")
_LOST_RACE = _Rule(Unavailable, "Database busy", remedy=Remedy.SAME_CONNECTION)
_DEFECT = _Rule(TallymarkError, "Internal server error")

NOT_INSTALLED = "The database has no Tallymark, or another release of it: run `tallymark migrate`."
NOT_GRANTED = "This user of the database lacks tallymark_writer or tallymark_reader."
READ_ONLY = (
    "The database is read-only, so it takes no updates: it is a standby, or default_transaction_read_only is on. "
    "DATABASE_URL must name the primary; `tallymark doctor` says where the setting was made."
)
DISK_FULL = "The disk of the database is full. Free space there, and updates are taken again."
NOT_CONFIRMED = (
    "The replica has not confirmed the update, because its wait for the replica was cancelled, by pg_cancel_backend, "
    "for example. Send the request again: it is confirmed then, and counted once."
)
NO_CONNECTION_LEFT = (
    "The database server gives no more connections. Raise its max_connections or the CONNECTION LIMIT of the user, or "
    "close connections of other programs."
)

NO_TABLE = (
    "A table is missing where the job is: it is moving to another node of its cluster just now. If this goes on, "
    "`tallymark doctor` says what is missing."
)
NO_COLUMN = (
    "The tables are those of another release than the functions, as while a migration is taken back or applied. If "
    "this goes on, run `tallymark migrate`."
)
INTERNAL = (
    "The database server reports an internal error, as it does where a node of a cluster has ended in the middle of a "
    "call. The update is not at fault. If this goes on, the server's log says which error it is."
)

OTHER_ENCODING = (
    "The database or this session has an encoding that lacks a character of this text. Both must be UTF8: "
    "`tallymark doctor` says how to make such a database; the session's is client_encoding."
)

#: untranslatable_character.
UNTRANSLATABLE = "22P05"
#: numeric_value_out_of_range.
TOO_LARGE = "22003"
#: insufficient_privilege.
NO_RIGHT = "42501"
#: A broken connection, for which libpq and psycopg give no SQLSTATE.
CONNECTION_BROKEN = "08006"
#: A connection that could not be opened.
NO_CONNECTION = "08001"
#: All connections are in use, ours or the server's.
NO_CONNECTION_FREE = "53300"
#: Too many requests wait for the database.
TOO_MANY_WAIT = "53400"
#: A lock that another transaction holds for longer than lock_timeout.
LOCK_NOT_AVAILABLE = "55P03"
#: disk_full.
NO_SPACE = "53100"
#: read_only_sql_transaction.
IS_READ_ONLY = "25006"
#: undefined_column.
UNDEFINED_COLUMN = "42703"
#: No such schema, no such function, no such column: that may be so while another release is being installed.
OTHER_RELEASE = frozenset({"3F000", "42883", UNDEFINED_COLUMN})
#: A prepared statement of this name is there already.
IS_PREPARED = "42P05"

_RULES = {
    # Text that is not jsonb.
    "22P02": _body("must be JSON"),
    "22P03": _body("must be JSON"),
    UNTRANSLATABLE: _body("must not contain the character \\u0000"),
    "22021": _body("must be UTF-8, without the byte 0"),
    TOO_LARGE: _body("contains a number that is too large to be kept"),
    "54000": _body("contains more than can be kept"),
    "54001": _body("is nested too deeply"),
    # The database, or this connection to it, is gone: 08 is the class of connections, 57P01 to 57P05 are a shutdown, a
    # crash, a start, a database that was dropped, and a session that was idle for too long.
    "08": _AWAY,
    "57P01": _AWAY,
    "57P02": _AWAY,
    "57P03": _AWAY,
    "57P04": _AWAY,
    "57P05": _AWAY,
    "25P03": _AWAY,
    # The server's own failures, not those of our functions.
    "XX": _lacks(INTERNAL)._replace(remedy=Remedy.NEW_CONNECTION),
    # Another host of the URL may be the primary by now.
    IS_READ_ONLY: _lacks(READ_ONLY)._replace(remedy=Remedy.NEW_CONNECTION),
    # Out of something. A repetition at once would make it worse.
    "53": _lacks("The database server has reached one of its limits. Its log says which."),
    NO_SPACE: _lacks(DISK_FULL),
    "53200": _lacks("The database server is out of memory. Lower its work_mem or max_connections, or add memory."),
    NO_CONNECTION_FREE: _lacks(NO_CONNECTION_LEFT),
    "58030": _lacks("The database server cannot read or write its disk. Its log says which file."),
    # It took too long: the statement's timeout, the lock's, the transaction's.
    "57014": _BUSY,
    LOCK_NOT_AVAILABLE: _Rule(
        Unavailable,
        "Database busy",
        explanation="Another transaction has held the job for too long. Nothing was changed. "
        "Send the request again later.",
    ),
    "25P04": _BUSY,
    # Another transaction was faster. 23505, a number that is taken, shows the same while a distributed database moves
    # the job to another node.
    "40001": _LOST_RACE,
    "40P01": _LOST_RACE,
    "23505": _LOST_RACE,
    # A role was not granted. The same update succeeds once it is.
    NO_RIGHT: _lacks(NOT_GRANTED),
    # The prepared statement is gone, or does not fit the functions any more, because they were replaced meanwhile.
    "26000": _Rule(Unavailable, "Database unavailable", remedy=Remedy.PREPARED_AGAIN),
    "0A000": _Rule(TallymarkError, "Internal server error", remedy=Remedy.PREPARED_AGAIN),
    "3F000": _Rule(TallymarkError, "Internal server error", remedy=Remedy.PREPARED_AGAIN),
    # Our statements name no tables, so this comes from within a function.
    "42P01": _lacks(NO_TABLE)._replace(remedy=Remedy.SAME_CONNECTION),
    # Stored functions read columns by name, those of the release that made the functions.
    UNDEFINED_COLUMN: _lacks(NO_COLUMN)._replace(remedy=Remedy.PREPARED_AGAIN),
    "42": _Rule(TallymarkError, "Internal server error", remedy=Remedy.PREPARED_AGAIN),
}

#: The severities of errors after which the server closes the connection.
_ENDS_SESSION = frozenset(("FATAL", "PANIC"))

_OURS: dict[str, type[TallymarkError]] = {
    "TK400": InvalidUpdate,
    "TK404": JobNotFound,
    "TK409": Conflict,
    "TK413": PayloadTooLarge,
}


def is_refusal(sqlstate: str | None) -> bool:
    """Return whether a SQLSTATE is one of Tallymark's own."""
    return sqlstate is not None and sqlstate.startswith("TK") and sqlstate[2:].isdecimal()


def from_result(result: abc.PGresult, session: abc.PGconn) -> TallymarkError:
    """Make the exception for a failed result of libpq; it is returned, not raised."""

    def field(which: DiagnosticField) -> str:
        return (result.error_field(which) or b"").decode(errors="replace")

    return _from_fields(field, session)


def from_refusal(refusal: Mapping[str, str | None]) -> TallymarkError:
    """Make the exception for a refusal that a stored function returned as a value; it is returned, not raised."""
    names = {
        DiagnosticField.SQLSTATE: "sqlstate",
        DiagnosticField.MESSAGE_PRIMARY: "message",
        DiagnosticField.MESSAGE_DETAIL: "detail",
        DiagnosticField.MESSAGE_HINT: "hint",
    }
    return _from_fields(lambda which: refusal.get(names.get(which, "")) or "")


def from_psycopg(error: psycopg.Error, session: abc.PGconn | None = None) -> TallymarkError:
    """Make the exception for one of psycopg's; it is returned, and raised by the caller with its cause."""
    if error.sqlstate is None and isinstance(error, psycopg.DataError):
        # Raised by psycopg before anything was sent.
        return from_unsendable()
    names = {
        DiagnosticField.SQLSTATE: error.sqlstate,
        DiagnosticField.MESSAGE_PRIMARY: error.diag.message_primary,
        DiagnosticField.MESSAGE_DETAIL: error.diag.message_detail,
        DiagnosticField.MESSAGE_HINT: error.diag.message_hint,
        DiagnosticField.CONTEXT: error.diag.context,
        DiagnosticField.SEVERITY_NONLOCALIZED: error.diag.severity_nonlocalized,
    }
    return _from_fields(lambda which: names[which] or "", session)


def from_unsendable(sqlstate: str = "22021") -> TallymarkError:
    """Make the exception for what cannot be sent, by default text with the character 0 or half a surrogate pair."""
    return _from_rule(sqlstate, "")


def defect(error: TallymarkError) -> TallymarkError:
    """Make a defect of ours out of an error that turned out not to be about what the caller gave."""
    return TallymarkError(_DEFECT.message, sqlstate=error.sqlstate, origin=error.origin)


def _from_fields(field: Callable[[DiagnosticField], str], session: abc.PGconn | None = None) -> TallymarkError:
    sqlstate = field(DiagnosticField.SQLSTATE) or CONNECTION_BROKEN
    if is_refusal(sqlstate):
        details, explanation = _taken_apart(field(DiagnosticField.MESSAGE_DETAIL))
        return _OURS.get(sqlstate, Refused)(
            field(DiagnosticField.MESSAGE_PRIMARY),
            sqlstate=sqlstate,
            details=details,
            explanation=explanation,
            hint=field(DiagnosticField.MESSAGE_HINT),
        )
    if sqlstate == UNTRANSLATABLE and session is not None and not _is_utf8(session):
        return Unavailable("Database unavailable", sqlstate=sqlstate, explanation=OTHER_ENCODING)
    ends_session = field(DiagnosticField.SEVERITY_NONLOCALIZED) in _ENDS_SESSION
    return _from_rule(sqlstate, _origin(field(DiagnosticField.CONTEXT)), ends_session=ends_session)


def _is_utf8(session: abc.PGconn) -> bool:
    """Whether the database and the session have all characters but the one with the number 0."""
    return all(session.parameter_status(name) == b"UTF8" for name in (b"server_encoding", b"client_encoding"))


def _from_rule(sqlstate: str, origin: str, *, ends_session: bool = False) -> TallymarkError:
    rule = _RULES.get(sqlstate) or _RULES.get(sqlstate[:2]) or _DEFECT
    if ends_session and rule.kind is TallymarkError:
        # Our functions end no session.
        rule = _AWAY
    return rule.kind(
        rule.message,
        sqlstate=sqlstate,
        details=[{"field": "", "problem": rule.problem}] if rule.problem else None,
        explanation=rule.explanation,
        remedy=rule.remedy,
        origin=origin,
    )


def _taken_apart(detail: str) -> tuple[list[Detail], str]:
    """Read DETAIL, which is either a list of problems or a sentence."""
    if detail.startswith("["):
        problems: list[Detail] = json.loads(detail)
        return problems, ""
    return [], detail


def _origin(context: str) -> str:
    """Return the lines of CONTEXT that name functions; others quote what the caller gave."""
    return "; ".join(line for line in context.splitlines() if line.startswith(("PL/pgSQL function", "SQL function")))
