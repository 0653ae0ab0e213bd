"""Whether the database can do all that the endpoint needs. If not, the error says what is missing, and the cure."""

import json
import time
from collections.abc import Iterable
from threading import Lock

from tallymark.functions.call import Call
from tallymark.functions.errors import (
    DISK_FULL,
    IS_READ_ONLY,
    NO_RIGHT,
    NO_SPACE,
    NOT_INSTALLED,
    TallymarkError,
    Unavailable,
)
from tallymark.functions.http import READING, WRITING, Statement
from tallymark.web.db.pool import Database
from tallymark.web.db.replica import CanCall, Reader

#: How often the disk is tried at most, and how long an update that found it full counts.
_TRY_SECONDS = 1.0
_FULL_SECONDS = 10.0

#: $1 has the functions, $2 is the role. Columns: whether all functions are there; whether they may be called; whether
#: the schema may be used; whether the role exists; whether the user has its rights; whether nothing can be written;
#: whether that is because the server is a standby; whether commits do not wait for the disk; the isolation level; the
#: encoding.
_STATE = Statement(
    b"tallymark_state",
    b"SELECT bool_and(p.oid IS NOT NULL), bool_and(has_function_privilege(p.oid, 'EXECUTE')),"
    b" has_schema_privilege(to_regnamespace('tallymark')::oid, 'USAGE'), to_regrole($2) IS NOT NULL,"
    b" pg_has_role(to_regrole($2)::oid, 'USAGE'),"
    b" current_setting('transaction_read_only')::boolean, pg_is_in_recovery(),"
    b" current_setting('synchronous_commit') = 'off', current_setting('transaction_isolation'),"
    b" current_setting('server_encoding')"
    b" FROM jsonb_to_recordset($1) AS called (function text, arguments text[])"
    b" LEFT JOIN pg_proc AS p ON p.pronamespace = to_regnamespace('tallymark') AND p.proname = called.function"
    b" AND called.arguments <@ coalesce(p.proargnames, '{}')"
    # Arguments that must be given and are not: another release has added them.
    b" AND coalesce(p.proargnames[:p.pronargs - p.pronargdefaults], '{}') <@ called.arguments",
)
#: Writes 256 kB to a temporary file beside the tables, because no more than 64 kB of them may be in memory. That needs
#: no right, works on a read-only database, and leaves nothing. Updates would not do: most need no new page.
_WRITE = Statement(
    b"tallymark_write",
    b"SELECT count(*) FROM (SELECT set_config('work_mem', '64kB', true) AS memory,"
    b" set_config('temp_tablespaces', '', true) AS place OFFSET 0) AS s"
    b" CROSS JOIN LATERAL unnest(array_fill(repeat('x', 8000) || s.memory || s.place, ARRAY[32])) AS page",
)


class Readiness:
    """Tells whether updates and reads would succeed now."""

    def __init__(self, writer: Database, reader: Reader) -> None:
        """Nothing is asked before the first check."""
        self._writer = writer
        self._reader = reader
        self._lock = Lock()
        self._tried_at = float("-inf")
        self._is_full = False

    def check(self) -> None:
        """Raise Unavailable with the first thing that is missing."""
        _check(self._writer, "tallymark_writer", WRITING, writes=True)
        _check(self._reader, "tallymark_reader", READING, writes=False)
        if time.monotonic() < self._writer.found_full_at + _FULL_SECONDS or self._disk_is_full():
            raise Unavailable("Database unavailable", sqlstate=NO_SPACE, explanation=DISK_FULL)

    def holds(self) -> bool:
        """Return whether nothing is missing."""
        try:
            self.check()
        except TallymarkError:
            return False
        return True

    def _disk_is_full(self) -> bool:
        with self._lock:
            if time.monotonic() - self._tried_at > _TRY_SECONDS:
                try:
                    self._writer.call(_WRITE)
                    self._is_full = False
                except TallymarkError as error:
                    # Other errors, such as a temp_file_limit, say nothing about the disk.
                    self._is_full = error.sqlstate == NO_SPACE
                self._tried_at = time.monotonic()
            return self._is_full


def _check(database: CanCall, role: str, calls: Iterable[Call], *, writes: bool) -> None:
    wanted = [{"function": call.function, "arguments": list(call.arguments)} for call in calls]
    *found, isolation, encoding = database.call(_STATE, json.dumps(wanted).encode(), role.encode())
    answers = (answer == b"t" for answer in found)
    is_there, may_call, may_use, has_role, is_member, is_read_only, is_standby, forgets = answers
    if not is_there:
        raise Unavailable("Database not migrated", explanation=NOT_INSTALLED)
    if not (may_call and may_use):
        explanation = _what_is_not_granted(role, has_role=has_role, is_member=is_member, may_call=may_call)
        raise Unavailable("Database unavailable", sqlstate=NO_RIGHT, explanation=explanation)
    if writes and is_read_only:
        raise Unavailable(
            "Database unavailable",
            sqlstate=IS_READ_ONLY,
            explanation="The database is a standby, so it takes no updates. DATABASE_URL must name the primary."
            if is_standby
            else "The database is read-only, so it takes no updates: default_transaction_read_only is on. "
            "`tallymark doctor` says where it was set.",
        )
    if encoding != b"UTF8":
        raise Unavailable(
            "Database unavailable",
            explanation=f"The encoding of the database is {(encoding or b'').decode()}, which lacks characters that "
            "crawlers send. `tallymark doctor` says how to make one in UTF8.",
        )
    # The rest is so only behind a pooler: other sessions are set by the endpoint.
    if writes and forgets:
        raise Unavailable(
            "Database unavailable",
            explanation="A crash of the database server would lose acknowledged updates: synchronous_commit is off for "
            "this user of the database. `tallymark doctor` says where it was set.",
        )
    if isolation != b"read committed":
        raise Unavailable(
            "Database unavailable",
            explanation=f"The isolation level of this user of the database is {(isolation or b'').decode()}, so most "
            "updates of a busy job would fail. Set its default_transaction_isolation to 'read committed'.",
        )


def _what_is_not_granted(role: str, *, has_role: bool, is_member: bool, may_call: bool) -> str:
    if not has_role:
        return f"The database server has no role {role}. `tallymark migrate` makes it."
    if not is_member:
        return f"This user of the database lacks {role}: grant it that role."
    if may_call:
        return f"The schema may not be used: GRANT USAGE ON SCHEMA tallymark TO {role}."
    return f"The role {role} may not call all functions that it needs: `tallymark migrate` grants them again."
