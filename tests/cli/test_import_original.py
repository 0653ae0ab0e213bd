"""`tallymark import-original` takes over every job of the original's table, names what is wrong, and loses nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import make_conninfo
from tests.processes import ending

from tallymark.cli.original import import_original

Connection = psycopg.Connection[Any]

#: The table as the original's documents show it.
TABLE = """
CREATE TABLE job (id TEXT PRIMARY KEY, status TEXT NOT NULL, progress JSONB, resumeState JSONB, started_at TIMESTAMP,
  finished_at TIMESTAMP, updated_at TIMESTAMP)
"""
#: Jobs of every sort: of 20 each, one has a long timeline, one legacy names, one texts where numbers should be, one
#: nulls, one an unknown status; every other one has ended.
ROWS = """
INSERT INTO job SELECT format('job_%%s', lpad(n::text, 5, '0')),
  CASE WHEN n %% 20 = 5 THEN 'exploded' WHEN n %% 20 = 6 THEN 'queued' WHEN n %% 2 = 0 THEN 'running'
    ELSE 'finished' END,
  CASE n %% 20
    WHEN 2 THEN jsonb_build_object('processed', n, 'total', 2 * n, 'groupCount', 3)
    WHEN 3 THEN jsonb_build_object('processedItems', n::text,
      'itemsByType', jsonb_build_object('issues', n::text, 'bad', -1))
    WHEN 4 THEN '{"processedItems": null, "itemsByType": null, "stage": null, "timeline": null}'
    WHEN 6 THEN NULL
    ELSE jsonb_build_object('processedItems', n, 'totalItems', 2 * n, 'itemsByType', jsonb_build_object('issues', n),
      'stage', 'data_collection', 'timeline', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
          'timestamp', to_char('2025-01-06'::timestamp + e * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
          'event', 'progress_update', 'details', jsonb_build_object('processedItems', e)) ORDER BY e), '[]')
        FROM generate_series(1, CASE WHEN n %% 20 = 0 AND n <= %(long)s * 20 THEN 5000 ELSE 3 END) AS e)) END,
  CASE WHEN n %% 2 = 0 THEN jsonb_build_object('page', n) END, '2025-01-06'::timestamp,
  CASE WHEN n %% 2 = 1 THEN '2025-01-06 02:00'::timestamp END, '2025-01-06 02:00'::timestamp
FROM generate_series(1, %(jobs)s) AS n
"""


@pytest.fixture
def original(make_database: Callable[[], str]) -> Iterator[Connection]:
    """A connection to a database that has the original's table, and nothing in it."""
    with psycopg.connect(make_database(), autocommit=True) as connection:
        connection.execute(TABLE)
        yield connection


def url_of(connection: Connection) -> str:
    """Return the URL of a connection's database."""
    return make_conninfo(connection.info.dsn, password=connection.info.password)


def run(original: Connection, url: str, *arguments: str) -> Result:
    """Run `tallymark import-original` as a script would, without a terminal."""
    return CliRunner().invoke(import_original, [url_of(original), "--database-url", url, *arguments])


def fill(original: Connection, jobs: int, long: int) -> None:
    """Fill the original's table with jobs of every sort, some of them with timelines of 5,000 entries."""
    original.execute(ROWS, {"jobs": jobs, "long": long})


def everything(db: Connection) -> dict[str, str]:
    """Return a digest of each job and its ledger, but for the times of recording."""
    rows = db.execute(
        """SELECT j.id, md5(concat(to_jsonb(j) - '{created_at,updated_at}'::text[], (
             SELECT string_agg(md5((to_jsonb(e) - 'recorded_at'
               - CASE e.event WHEN 'original_imported' THEN 'occurred_at' ELSE '' END)::text), '' ORDER BY e.seq)
             FROM tallymark.job_event AS e WHERE e.job_id = j.id)))
           FROM tallymark.job AS j"""
    )
    return dict(rows.fetchall())


def check_all(db: Connection, original: Connection) -> None:
    """Compare every job with its row, by rules that are written here again."""
    assert db.execute("SELECT bool_and(tallymark.verify_job(id)) FROM tallymark.job").fetchone() == (True,)
    rows = original.execute(
        """SELECT id, CASE status WHEN 'exploded' THEN 'cancelled' ELSE status END,
             coalesce(progress ->> 'processedItems', progress ->> 'processed')::int,
             (progress #>> '{itemsByType,issues}')::int,
             CASE WHEN jsonb_typeof(progress -> 'timeline') = 'array' THEN jsonb_array_length(progress -> 'timeline')
               ELSE 0 END, CASE WHEN finished_at IS NULL THEN resumestate END, finished_at AT TIME ZONE 'UTC'
           FROM job ORDER BY id"""
    ).fetchall()
    jobs = db.execute(
        """SELECT id, CASE WHEN status = 'paused' THEN 'queued' ELSE status END, (progress -> 'processedItems')::int,
             (progress #> '{itemsByType,issues}')::int,
             (SELECT count(*)::int FROM tallymark.job_event AS e
               WHERE e.job_id = j.id AND e.payload IS NULL AND e.event <> 'original_imported'),
             resume_state, finished_at
           FROM tallymark.job AS j ORDER BY id"""
    ).fetchall()
    assert jobs == rows


def summary_of(result: Result) -> dict[str, Any]:
    """Return the sums that a run with --json printed last."""
    summary: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])["summary"]
    return summary


def test_every_job_is_taken_over_and_what_was_wrong_is_named(db: Connection, db_url: str, original: Connection) -> None:
    """All jobs verify and are what their rows say. A second run changes nothing, and names the same."""
    fill(original, 200, 2)
    first = run(original, db_url)
    assert first.exit_code == 1, first.output
    last = first.stdout.splitlines()[-1]
    assert last == "200 rows read, 200 taken over; 20 problems, 100 mended"
    assert "job job_00003: progress.itemsByType.bad: must be a whole number from 0 to 9007199254740991" in first.stdout
    assert (
        "job job_00002: progress.processed: is the legacy name of processedItems, and was taken as that" in first.stdout
    )
    assert "job job_00005: status: must be the status of a job" in first.stdout
    named = set(re.findall(r"^job (job_\d+): ", first.stdout, flags=re.MULTILINE))
    assert named == {f"job_{n:05}" for n in range(1, 201) if n % 20 in {2, 3, 4, 5, 6}}
    check_all(db, original)
    before = everything(db)
    second = run(original, db_url)
    assert second.exit_code == 1
    assert second.stdout.splitlines()[-1].startswith("200 rows read, 200 unchanged; 20 problems")
    assert everything(db) == before


def test_scripts_get_a_line_for_each_row(db_url: str, original: Connection) -> None:
    """With what was taken, what was wrong, and the sums at the end."""
    original.execute("""INSERT INTO job VALUES ('good', 'running', '{"processedItems": 5}'),
        ('odd', 'running', '{"processedItems": -5}')""")
    result = run(original, db_url, "--json")
    assert result.exit_code == 1
    good, odd, _ = map(json.loads, result.stdout.splitlines())
    assert (good["id"], good["outcome"], good["problems"]) == ("good", "imported", [])
    assert [found["field"] for found in odd["problems"]] == ["progress.processedItems"]
    assert summary_of(result) == {
        "rows": 2,
        "events": 6,
        "problems": 1,
        "mended": 0,
        "outcomes": {"imported": 2}
        | dict.fromkeys(("updated", "registered", "unchanged", "changed", "refused", "passed over"), 0),
        "dryRun": False,
        "interrupted": False,
    }


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(
    db: Connection, db_url: str, original: Connection
) -> None:
    """The same problems, and no job."""
    fill(original, 20, 0)
    told = run(original, db_url, "--dry-run")
    assert told.exit_code == 1
    assert told.stdout.splitlines()[-1].endswith("nothing was changed, because of --dry-run")
    assert everything(db) == {}
    assert run(original, db_url).stdout.splitlines()[:-1] == told.stdout.splitlines()[:-1]


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE old.job (id text, status text, progress jsonb, resume_state jsonb, updated_at timestamptz)",
        'CREATE TABLE old.job (id text, status varchar, progress json, "resumeState" json, "updatedAt" timestamp)',
        "CREATE TABLE old.job (id text, status text, progress text, resumeState text, updatedAt text)",
    ],
)
def test_the_columns_may_be_spelled_and_typed_either_way(
    db: Connection, db_url: str, original: Connection, table: str
) -> None:
    """In snake case, in camel case, folded by PostgreSQL; as jsonb, json or text. The table may be in any schema."""
    original.execute("CREATE SCHEMA old")
    original.execute(table)
    original.execute("""INSERT INTO old.job VALUES ('j', 'paused', '{"processedItems": 5}', '{"page": 1}',
        '2025-01-06T10:00:00Z')""")
    result = run(original, db_url, "--table", "old.job")
    assert result.exit_code == 0, result.output
    row = db.execute(
        "SELECT status, progress, resume_state, newest_at = '2025-01-06T10:00:00Z' FROM tallymark.job"
    ).fetchone()
    assert row == ("paused", {"processedItems": 5}, {"page": 1}, True)


def test_the_session_settings_of_the_originals_user_do_no_harm(
    db: Connection, db_url: str, original: Connection
) -> None:
    """The table is that of its search path; formats and time zone change nothing, and hidden rows are an error."""
    name = original.info.dbname
    original.execute(
        f"""CREATE SCHEMA old; ALTER TABLE job SET SCHEMA old; ALTER TABLE old.job ALTER updated_at TYPE timestamptz;
            CREATE ROLE tallymark_test_original LOGIN PASSWORD 'p';
            GRANT USAGE ON SCHEMA old TO tallymark_test_original; GRANT SELECT ON old.job TO tallymark_test_original;
            ALTER ROLE tallymark_test_original SET search_path = old;
            ALTER ROLE tallymark_test_original SET DateStyle = 'German, DMY';
            ALTER ROLE tallymark_test_original SET TimeZone = 'Asia/Kathmandu';
            ALTER DATABASE "{name}" SET statement_timeout = '1min';
            INSERT INTO old.job (id, status, progress, updated_at)
              VALUES ('job', 'paused', '{{}}', '1900-01-06 10:00:00Z')""".encode()
    )
    url = make_conninfo(url_of(original), user="tallymark_test_original", password="p")
    try:
        told = CliRunner().invoke(import_original, [url, "--database-url", db_url])
        original.execute("ALTER TABLE old.job ENABLE ROW LEVEL SECURITY")
        hidden = CliRunner().invoke(import_original, [url, "--database-url", db_url])
    finally:
        original.execute("DROP OWNED BY tallymark_test_original; DROP ROLE tallymark_test_original")
    assert (told.exit_code, told.output) == (0, "1 row read, 1 taken over\n")
    assert db.execute("SELECT newest_at = '1900-01-06 10:00:00Z' FROM tallymark.job").fetchone() == (True,)
    assert (hidden.exit_code, "row-level security" in hidden.output) == (2, True)


def test_the_table_may_be_in_tallymarks_own_database(db: Connection, db_url: str) -> None:
    """An id may be a number or a uuid there."""
    db.execute("CREATE TABLE public.job (id bigint PRIMARY KEY, status text, progress jsonb)")
    db.execute("INSERT INTO public.job VALUES (7, 'running', '{}'), (10, 'running', '{}')")
    result = run(db, db_url, "--table", "public.job")
    assert result.exit_code == 0, result.output
    assert db.execute("SELECT array_agg(id ORDER BY id) FROM tallymark.job").fetchone() == (["10", "7"],)


def test_rows_that_cannot_be_jobs_are_named_and_the_others_taken(
    db: Connection, db_url: str, original: Connection
) -> None:
    """No id, an id that is too long, the same id twice, and a number that is too large."""
    original.execute("ALTER TABLE job DROP CONSTRAINT job_pkey, ALTER id DROP NOT NULL, ALTER progress TYPE json")
    original.execute(
        r"""INSERT INTO job (id, status, progress) VALUES (NULL, 'running', '{}'), (repeat('x', 256), 'running', '{}'),
            ('huge', 'running', '{"a": 1e200000}'), ('twice', 'running', '{"processedItems": 1}'),
            ('twice', 'paused', '{"processedItems": 2}'), (E'b\u001b[2J', 'running', '{"processedItems": -1}')"""
    )
    result = run(original, db_url)
    assert result.exit_code == 1
    assert "6 rows read, 2 taken over, 1 taken over again, 3 refused" in result.stdout
    assert "job twice: id: another row of the table has this id, too" in result.stdout
    assert "job huge: contains a number that is too large to be kept" in result.stdout
    assert "a row without an id: id: must be a string of 1 to 255 characters" in result.stdout
    assert "\x1b" not in result.stdout, "nothing that a terminal would obey"
    before = everything(db)
    assert run(original, db_url).exit_code == 1
    assert everything(db) == before
    jobs = db.execute("SELECT id, progress FROM tallymark.job ORDER BY id").fetchall()
    assert jobs == [("b\x1b[2J", {}), ("twice", {"processedItems": 2})]


def test_what_json_holds_and_no_text_here_can_is_replaced_and_all_else_of_the_row_taken(
    db: Connection, db_url: str, original: Connection
) -> None:
    """A column of the type json may have the character U+0000 and half a surrogate pair."""
    original.execute("ALTER TABLE job ALTER progress TYPE json, ALTER resumestate TYPE json")
    original.execute(
        r"""INSERT INTO job (id, status, progress, resumestate) VALUES
            ('half', 'running', '{"processedItems": 7, "message": "cut \uD83d", "whole": "\ud83d\ude00"}', '"\udE00"'),
            ('nul', 'running', '{"processedItems": 8, "message": "a\u0000b", "path": "c:\\u0000"}', NULL)"""
    )
    result = run(original, db_url)
    assert result.exit_code == 0, result.stdout
    assert "job half: the character U+0000, or half a surrogate pair, was replaced by U+FFFD" in result.stdout
    jobs = db.execute(
        "SELECT id, progress - 'facets', resume_state, tallymark.verify_job(id) FROM tallymark.job ORDER BY id"
    ).fetchall()
    assert jobs == [
        ("half", {"processedItems": 7, "message": "cut \ufffd", "whole": "\U0001f600"}, "\ufffd", True),
        ("nul", {"processedItems": 8, "message": "a\ufffdb", "path": r"c:\u0000"}, None, True),
    ]
    before = everything(db)
    assert "2 unchanged" in run(original, db_url).stdout
    assert everything(db) == before


def test_a_job_that_a_crawler_holds_is_passed_over(db: Connection, db_url: str, original: Connection) -> None:
    """The others are taken over; the next run takes it."""
    original.execute(
        "INSERT INTO job (id, status, progress) VALUES ('held', 'running', '{}'), ('other', 'running', '{}')"
    )
    db.execute("SELECT tallymark.create_job('held')")
    with psycopg.connect(db_url) as crawler:
        crawler.execute("SELECT tallymark.merge_progress('held', '{}')")
        told = run(original, db_url)
    assert told.exit_code == 1
    assert told.stdout.splitlines()[-1].startswith("2 rows read, 1 taken over, 1 passed over")
    assert run(original, db_url).stdout.splitlines()[-1] == "2 rows read, 1 taken over, 1 unchanged"


def test_what_cannot_be_read_is_said(db: Connection, db_url: str, original: Connection) -> None:
    """Exit 2, and which of the two databases is meant."""
    told = run(original, db_url, "--table", "nothing")
    assert (told.exit_code, "the original's database: there is no table nothing" in told.output) == (2, True)
    original.execute("CREATE TABLE other (id text)")
    told = run(original, db_url, "--table", "other")
    assert (told.exit_code, "it has no column progress and no status" in told.output) == (2, True)
    original.execute("INSERT INTO job (id, status) VALUES ('job', 'running')")
    told = run(original, url_of(original))
    assert (told.exit_code, "run `tallymark migrate`" in told.output) == (2, True)
    arguments = [make_conninfo(url_of(original), dbname="tallymark_none"), "--database-url", db_url]
    told = CliRunner().invoke(import_original, arguments)
    assert (told.exit_code, "the original's database: " in told.output) == (2, True)
    assert db.execute("SELECT count(*) FROM tallymark.job").fetchone() == (0,)


def test_who_is_no_admin_may_not(db: Connection, db_url: str, original: Connection) -> None:
    """The message names the missing right."""
    original.execute("INSERT INTO job (id, status) VALUES ('job', 'running')")
    db.execute("CREATE ROLE tallymark_test_importer LOGIN PASSWORD 'p'")
    try:
        db.execute("GRANT tallymark_writer, tallymark_reader TO tallymark_test_importer")
        told = run(original, make_conninfo(db_url, user="tallymark_test_importer", password="p"))
    finally:
        db.execute("DROP ROLE tallymark_test_importer")
    assert told.exit_code == 2
    assert "lacks tallymark_admin" in told.output


def command(original: Connection, url: str) -> list[str]:
    """Return the command line of a process of its own."""
    program = "from tallymark.cli import main; main()"
    return [sys.executable, "-c", program, "import-original", url_of(original), "--database-url", url]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_no_half_job_and_goes_on(
    db: Connection, db_url: str, original: Connection, number: signal.Signals
) -> None:
    """Killed or interrupted in the middle, and run again: the same as a run that was never stopped."""
    fill(original, 120, 6)
    process = subprocess.Popen(command(original, db_url), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    with ending(process):
        while _jobs(db) < 25 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(number)
        said, _ = process.communicate()
    assert process.returncode == (-number if number is signal.SIGKILL else 130), said
    assert 25 <= _jobs(db) < 120
    halves = db.execute(
        """SELECT id FROM tallymark.job AS j WHERE NOT tallymark.verify_job(id) OR j.last_seq > 0 AND NOT EXISTS (
             SELECT FROM tallymark.job_event AS e WHERE e.job_id = j.id AND e.update_key LIKE '=import-original/%'
               AND e.seq = j.last_seq)"""
    ).fetchall()
    assert halves == []
    assert run(original, db_url).exit_code == 1
    check_all(db, original)


def test_two_runs_at_once_take_over_each_job_once(db: Connection, db_url: str, original: Connection) -> None:
    """While one takes over a job, the other waits for it, and then knows the row."""
    fill(original, 60, 1)
    runs = [subprocess.Popen(command(original, db_url), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    with ending(*runs):
        said = [process.communicate()[0] for process in runs]
    assert [process.returncode for process in runs] == [1, 1], said
    check_all(db, original)
    row = db.execute("SELECT count(*) FROM tallymark.job_event WHERE event = 'original_imported'").fetchone()
    assert row == (60,)


def _jobs(db: Connection) -> int:
    row = db.execute("SELECT count(*) FROM tallymark.job").fetchone()
    assert row
    return int(row[0])


def highest_memory(process: "subprocess.Popen[str]") -> int:
    """Wait for a process to end, and return the most memory that it had, in MiB."""
    highest = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        except ProcessLookupError:
            continue  # it ended meanwhile
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            highest = int(found[1])
        time.sleep(0.1)
    return highest // 1024


@pytest.mark.deep
@pytest.mark.timeout(3000)
def test_ten_thousand_jobs_are_taken_over_in_bounded_memory(
    db: Connection,
    db_url: str,
    original: Connection,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """100 of them with timelines of 5,000 entries; twice, and the second run changes nothing."""
    fill(original, 10_000, 100)
    figures = []
    before: dict[str, str] = {}
    for outcome in ("imported", "unchanged"):
        began = time.monotonic()
        with (tmp_path / outcome).open("w+", encoding="utf-8") as said:
            process = subprocess.Popen([*command(original, db_url), "--json"], stdout=said, text=True)
            with ending(process):
                memory = highest_memory(process)
            said.seek(0)
            summary = json.loads(said.readlines()[-1])["summary"]
        figures.append(f"{outcome} in {time.monotonic() - began:.0f} s with at most {memory} MiB")
        assert process.returncode == 1
        assert summary["outcomes"][outcome] == 10_000
        assert memory < 150, "MiB; the table is larger"
        before = before or everything(db)
    assert everything(db) == before
    check_all(db, original)
    record_property("figure", f"10,000 jobs: {', '.join(figures)}; {os.cpu_count()} cores")
