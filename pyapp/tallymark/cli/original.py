"""The command import-original: takes over the jobs of the original system, a row and a transaction each."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import click
import psycopg
from psycopg import sql
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from tallymark import functions
from tallymark.cli.common import (
    ADMIN,
    CannotRun,
    connected,
    database_options,
    json_option,
    one_line,
    short_lock,
)
from tallymark.cli.interrupt import INTERRUPTED, Interrupt
from tallymark.functions.call import Connection, Json
from tallymark.functions.errors import (
    LOCK_NOT_AVAILABLE,
    NOT_INSTALLED,
    OTHER_RELEASE,
    InvalidUpdate,
    Remedy,
    TallymarkError,
    Unavailable,
)
from tallymark.functions.session import open_session
from tallymark.plain import plain, plain_json
from tallymark.terminal.screen import ProgressLine, Styled, say
from tallymark.terminal.text import bar, count

#: How many rows are read at a time. A row may be large, since it holds its job's timeline.
PAGE = 10
_ATTEMPTS = 5
_BAR_CELLS = 20
#: Set while the original's table is read: its transaction waits between two pages while jobs are written, and a policy
#: that hides rows is an error.
_WHILE_READING = {
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",  # from PostgreSQL 17 on
    "TimeZone": "UTC",
    "row_security": "off",
}
#: Columns without which a table is not the original's. The stored function knows the others, in either spelling.
_NEEDED = {"id", "status", "progress"}

#: What the outcomes are called in the summary, in its order; `refused` and `passed over` are ours.
_WORDS = {
    "imported": "taken over",
    "updated": "taken over again",
    "registered": "registered",
    "unchanged": "unchanged",
    "changed": "changed, but not taken over again",
    "refused": "refused",
    "passed over": "passed over",
}
#: PostgreSQL's refusals of an escape that its type json takes, but jsonb does not.
_NO_TEXT = {"22P02", "22P05"}
#: Escapes of JSON: a whole surrogate pair; half of one, or the character U+0000; any other, so that the second of two
#: backslashes begins none.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u0000|u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_WAS_NO_TEXT = {"field": "", "mended": "the character U+0000, or half a surrogate pair, was replaced by U+FFFD"}
_SAME_ID = {"field": "id", "problem": "another row of the table has this id, too"}


class OriginalFailed(CannotRun):
    """The original's database is away, or refused what was asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the original's database: {one_line(reason)}")


class Row(NamedTuple):
    """A row of the original's table: the id as text, and all of it as JSON."""

    id: str | None
    original: str


@click.command("import-original")
@click.argument("original", metavar="URL")
@click.option(
    "--table",
    default="job",
    metavar="NAME",
    help="The original's table of jobs, as SQL names it: with its schema where that is needed.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done.")
@json_option("Print a JSON object for each row, one a line, and one with the sums at the end.")
@database_options
def import_original(url: str, original: str, table: str, *, dry_run: bool, as_json: bool) -> None:
    """Take over the jobs of the original system.

    Reads the table of jobs in the database at URL, which may be Tallymark's own, and changes nothing there.
    The counts of each row become the job's first event, the entries of its timeline become events, and the resume
    state is kept. What is wrong with a row is named; all else of it is taken over.

    Each job is a transaction of its own. A run may be stopped at any time and started again: jobs that were taken over
    stay as they are.

    Exits 0 when all was taken over, 1 when something was not (it is named), 2 when it could not run, 130 when it was
    interrupted.
    """
    run = _Run(dry_run=dry_run, as_json=as_json)
    with (
        _rows_of(original, table) as (total, rows),
        connected(url, ADMIN, unhurried=True) as connection,
        Interrupt() as interrupt,
    ):
        for row in rows:
            run.take(connection, row)
            run.show(total)
            if interrupt.wait(0):
                run.interrupted = True
                break
    run.end()
    sys.exit(INTERRUPTED if run.interrupted else 1 if run.is_amiss else 0)


class _Run:
    """One run over the table, and what came of it."""

    def __init__(self, *, dry_run: bool, as_json: bool) -> None:
        self.interrupted = False
        self._dry_run = dry_run
        self._as_json = as_json
        self._outcomes: Counter[str] = Counter()
        self._problems = 0
        self._mended = 0
        self._events = 0
        self._last_id: str | None = None
        self._progress = ProgressLine(patience=0)

    @property
    def is_amiss(self) -> bool:
        """Whether anything was not taken over."""
        return self._problems > 0 or any(self._outcomes[each] for each in ("changed", "refused", "passed over"))

    def take(self, connection: Connection, row: Row) -> None:
        """Take over a row, and say what was wrong with it."""
        done: Json = {"id": row.id, "problems": [], "mended": [], "events": 0} | self._outcome_of(connection, row)
        if row.id is not None and row.id == self._last_id:
            done["problems"] = [_SAME_ID, *done["problems"]]
        self._last_id = row.id
        self._outcomes[done["outcome"]] += 1
        self._problems += len(done["problems"])
        self._mended += len(done["mended"])
        self._events += done["events"]
        self._tell(done)

    def _outcome_of(self, connection: Connection, row: Row) -> Json:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with short_lock(connection, undo=self._dry_run):
                    return functions.import_original_row(connection, row.original)
            except InvalidUpdate as error:
                mended = _ESCAPE.sub(_mend, row.original) if error.sqlstate in _NO_TEXT else row.original
                if mended != row.original:
                    done = self._outcome_of(connection, row._replace(original=mended))
                    return done | {"mended": [*done.get("mended", []), _WAS_NO_TEXT]}
                return {"outcome": "refused", "problems": error.details}
            except Unavailable as error:
                if error.sqlstate == LOCK_NOT_AVAILABLE:
                    problem = {"field": "", "problem": "another transaction has held the job for too long"}
                    return {"outcome": "passed over", "problems": [problem]}
                if error.remedy is not Remedy.SAME_CONNECTION or attempt == _ATTEMPTS:
                    raise
            except TallymarkError as error:
                if error.sqlstate in OTHER_RELEASE:
                    raise CannotRun(NOT_INSTALLED) from error
                if (error.sqlstate or "")[:2] not in {"22", "54"}:
                    raise
                # A value that no rule foresaw must not keep the other jobs from being taken over.
                return {"outcome": "refused", "problems": [{"field": "", "problem": str(error.__cause__ or error)}]}
        raise AssertionError("not reached: the last attempt returns or raises")

    def _tell(self, done: Json) -> None:
        if self._as_json:
            say(plain_json(done))
            return
        if done["problems"] or done["mended"]:
            self._progress.clear()
        for found in done["problems"]:
            self._line(done["id"], found["field"], found["problem"], "red")
        for found in done["mended"]:
            self._line(done["id"], found["field"], found["mended"], "yellow")

    def _line(self, job: str | None, field: str, said: str, colour: str) -> None:
        who = "a row without an id" if job is None else f"job {plain(job)}"
        where = (Styled(plain(field), colour=colour), ": ") if field else ()
        say(Styled(who, bold=True), ": ", *where, plain(said))

    def show(self, total: int) -> None:
        """Show how far the run is."""
        done = self._outcomes.total()
        drawn = bar(done / total if total else 1, _BAR_CELLS, "").plain
        self._progress.show(f"{drawn} {done:,} of {count(total, 'row', ',')}, at {self._last_id}")

    def end(self) -> None:
        """Say what came of the run."""
        self._progress.clear()
        sums = {"rows": self._outcomes.total(), "events": self._events, "problems": self._problems}
        if self._as_json:
            outcomes = {name: self._outcomes[name] for name in _WORDS}
            summary = {**sums, "mended": self._mended, "outcomes": outcomes}
            say(plain_json({"summary": summary | {"dryRun": self._dry_run, "interrupted": self.interrupted}}))
            return
        words = [f"{self._outcomes[name]:,} {words}" for name, words in _WORDS.items() if self._outcomes[name]]
        line = f"{count(sums['rows'], 'row', ',')} read" + "".join(f", {part}" for part in words)
        if self._problems or self._mended:
            line += f"; {count(self._problems, 'problem', ',')}, {self._mended:,} mended"
        if self._dry_run:
            line += "; nothing was changed, because of --dry-run"
        if self.interrupted:
            line += "; interrupted, so run it again for the others"
        say(Styled(line, colour="yellow" if self.interrupted or self.is_amiss else "green"))


def _mend(found: re.Match[str]) -> str:
    return r"\ufffd" if found[1] else found[0]


# --- the original's database -----------------------------------------------------------------------------------------


@contextmanager
def _rows_of(url: str, table: str) -> Iterator[tuple[int, Iterator[Row]]]:
    """Open the original's table: give the number of its rows, and the rows in the order of their ids, page by page."""
    with ExitStack() as stack:
        with _named():
            # It is not Tallymark's: the user's own search path and rights decide which table is meant, and may be read.
            session = open_session(url, psycopg.Connection, fallback_application_name="tallymark")
            connection = stack.enter_context(session)
            stack.enter_context(connection.transaction())
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute(
                "SELECT pg_catalog.set_config(s.name, o.value, true) FROM pg_catalog.pg_settings AS s"
                " JOIN pg_catalog.jsonb_each_text(%s) AS o (name, value) ON o.name = s.name",
                [Jsonb(_WHILE_READING)],
            )
            place = _find(connection, table)
            [(total,)] = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(place)).fetchall()
            cursor = stack.enter_context(psycopg.ServerCursor[Any](connection, "original", row_factory=tuple_row))
            cursor.itersize = PAGE
            # Rows of the same id come together, and a row without an id comes last.
            query = "SELECT t.id::text, pg_catalog.row_to_json(t)::text FROM {} AS t ORDER BY t.id"
            cursor.execute(sql.SQL(query).format(place))
        yield total, _rows(cursor)


def _find(connection: Connection, table: str) -> sql.Identifier:
    found = connection.execute(
        "SELECT n.nspname, c.relname, ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a"
        " WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"
        " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.oid = pg_catalog.to_regclass(%s)",
        [table],
    ).fetchone()
    if found is None:
        raise CannotRun(f"there is no table {plain(table)}; name it with --table, as SQL does")
    schema, name, columns = found
    if missing := sorted(_NEEDED - set(columns)):
        raise CannotRun(f"{plain(table)} is not its table of jobs, for it has no column {' and no '.join(missing)}")
    return sql.Identifier(schema, name)


def _rows(cursor: psycopg.ServerCursor[Any]) -> Iterator[Row]:
    with _named():
        yield from map(Row._make, cursor)


@contextmanager
def _named() -> Iterator[None]:
    """Say of what fails in the original's database that it was there, and not in Tallymark's."""
    try:
        yield
    except CannotRun as error:
        raise OriginalFailed(error.message) from error
    except psycopg.Error as error:
        raise OriginalFailed(str(error)) from error
