"""No setting of a caller's session changes what a stored function does, or what it answers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from tests.strange_settings import OTHERS, RELIED_ON, known

Connection = psycopg.Connection[Any]

#: Far from the defaults, each by itself; and times that are written in other ways.
_SETTINGS = {
    **{name: strange for name, (strange, _) in RELIED_ON.items() if name not in {"client_encoding", "exit_on_error"}},
    **OTHERS,
}
_CASES = [
    *_SETTINGS.items(),
    ("DateStyle", "SQL, DMY"),
    ("TimeZone", "America/St_Johns"),
    ("IntervalStyle", "iso_8601"),
]

_UPDATES = [
    {"status": "started", "timestamp": "2025-01-06T19:15:30.000Z", "totalItems": 50, "stage": "one"},
    {"status": "processing", "timestamp": "2025-02-01T00:15:31+05:45", "itemsByType": {"issues": 1, "größer": 2}},
    {
        "status": "processing",
        "timestamp": "2025-02-03 04:05",
        "processedItems": 7,
        "workerId": "a\\b'c",
        "progress": 0.1,
    },
    {
        "status": "processing",
        "timestamp": "2025-02-04T00:00:00Z",
        "error": {"message": "can't read 'a\\b' of 0xdeadbeef12, 12:30 in 5 ms \t of http://x/y"},
    },
    {
        "status": "processing",
        "timestamp": "2025-02-04T00:00:01Z",
        "error": 'id 123e4567-e89b-12d3-a456-426614174000 of user "x\\" failed 17 times',
    },
    {
        "status": "new_areas_discovered",
        "timestamp": "2025-02-05 01:02Z",
        "areas": [{"name": "g\\1", "fullPath": "g\\1", "type": "group"}],
    },
    {
        "status": "credential_expiry",
        "timestamp": "2025-02-06",
        "credentialStatus": {"message": "renew\\it", "expiresAt": "2025-02-03"},
    },
    {"status": "waiting", "timestamp": "2025-02-07", "waitUntil": "2999-01-01 01:02Z", "reason": "rate\\limit"},
]

#: What is called after the updates: one value or several rows each.
_CALLS = [
    'merge_progress_batch(\'[{"taskId": "j", "status": "processing", "timestamp": "2025-01-07T00:00:00Z"}]\')',
    'merge_progress_batch(\'[{"taskId": "none", "status": "processing"}, {"status": "x", "timestamp": 7}]\')',
    'merge_progress(\'j\', \'{"updateId": "k", "timestamp": "2025-01-07T00:00:01Z", "itemKeys": {"ä": ["1", "é"]}}\')',
    'merge_progress(\'j\', \'{"updateId": "b", "timestamp": "2025-01-07T00:02Z", "totalsByType": {"ä": 7, "Z": 1}}\')',
    'merge_progress(\'j\', \'{"updateId": "c", "timestamp": "2025-01-07T00:03Z", "failedByType": {"ä": 1}}\')',
    'progress_books(\'{"itemsByType": {"ä": 3, "B": 1}, "totalsByType": {"ä": 7, "a": 2}}\')',
    'progress_shortfall(\'finished\', \'{"itemsByType": {"ä": 3}, "totalsByType": {"ä": 7, "a": 2}}\')',
    'progress_extent(\'{"itemsByType": {"ä": 3}, "totalsByType": {"ä": 7, "a": 2}}\')',
    "unseen_items('j', 'ä', '{é,e,NULLE}')",
    'receive_unseen(\'{"type": "ä", "keys": ["é", "x"]}\', \'j\')',
    "item_page('j')",
    "receive_alive('{\"workerId\": \"\\\\w\"}', 'j')",
    "waiting_times('j')",
    "job_liveness('j')",
    "stalled_page('j')",
    "request_command('j', 'pause', 'somebody')",
    'receive_progress(\'{"taskId": "j", "status": "paused", "timestamp": "2025-04-01T00:00:00Z"}\', \'key\\1\')',
    "receive_for_job('j', ARRAY['{}', jsonb_build_object('taskId', 'j')], '{NULL,k}', '{}', false, 9, false)",
    'receive_job(\'{"taskId": "k", "attributes": {"a": "\\\\b"}}\')',
    'create_job(\'k/1\', \'{"team": "a\\\\b", "size": "1.50", "series": "s"}\', parent => \'j\')',
    "family('j')",
    "series_runs('s')",
    "job_series('k/1', 'j')",
    "note_paces()",
    "list_jobs(attributes => '{\"size\": \"1.50\"}', series => 's', parent => 'j')",
    "get_job('j')",
    "job_at('j', 3)",
    "timeline('j')",
    "timeline_before_page('j', 6)",
    "accumulation_history('j', 'itemsByType')",
    "history_page('j', 'processedItems')",
    "list_jobs(item_type => 'größer', q => 'J')",
    "list_jobs(stage => 'one')",
    "newest_jobs()",
    "job_changes('{j,k}', '{0,0}')",
    "job_ids()",
    "job_rate('j', as_of => '2025-01-08 00:00Z')",
    "rate_page('j')",
    "job_rates('{j}')",
    "jobs_by_status()",
    "jobs_per_day(days => 90, as_of => '2025-03-02 00:00Z')",
    "days_page(days => 3)",
    "events_per_minute(minutes => 2, as_of => '2025-01-08 00:00Z')",
    "throughput_page(minutes => 0)",
    "error_groups()",
    "errors_page()",
    "recent_failures()",
    "stalled_jobs(as_of => '2999-01-01 00:00Z')",
    "stalled_page()",
    "stage_durations('j')",
    "stages_page('j')",
    "update_frequency('j')",
    "busiest_jobs()",
    "busiest_page()",
    "areas_tree()",
    "areas_page()",
    "job_areas('j')",
    "diagnose_job('j')",
    "verify_differences('j')",
    "verify_page('j')",
    "verify_newest()",
    "verify_next_jobs()",
    "raise_alerts()",
    "claim_alert_messages('w')",
    "list_alerts()",
    "operating_figures()",
    'note_intake(\'[{"jobId": "j", "outcome": "refused", "code": "TK400", "problem": "a\\\\b"}]\')',
    "create_token('t\\1', '{write,read}', 'j', '2999-01-01 00:00Z')",
    "list_tokens()",
    "note_failed_sign_in('10.0.0.1')",
    "sign_in_wait('10.0.0.1')",
    "job_record('j')",
    "ledger_page('j')",
    "item_page('j')",
    "prunable_events('{j}', '2999-01-01 00:00Z', 2)",
    "prune_job('j', '2999-01-01 00:00Z', 2)",
    "job_record('j')",
    "verify_job('j')",
    "get_job('j')",
    "ended_jobs('2999-01-01 00:00Z')",
    "delete_job('j')",
    'merge_progress(\'j\', \'{"status": "completed", "timestamp": "2025-05-01T10:00:00.123Z", "updateId": "\\\\"}\')',
    "ended_jobs('2999-01-01 00:00Z')",
    "jobs_per_day(days => 2, as_of => '2025-05-02 00:00Z')",
    "delete_job('j')",
    "resummarize_ledger()",
    # Refused, each with every problem.
    "create_job('', '[]')",
    'merge_progress(\'k\', \'{"status": "\\\\", "timestamp": "13/01/2025", "totalItems": -1}\')',
    "request_command('k', 'jump')",
    "create_token('', '{}', 'x', '2001-01-01 00:00Z')",
]

#: Text that tells a time of now, in the form of the wire protocol.
_TIME = re.compile(r"20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|\+00:00)")
#: Times of the updates, which are the same at each run.
_GIVEN = ("2025", "2999")
#: What depends on the moment of the call: only its kind is compared.
_MOMENTARY = re.compile(
    r"(?i)(rows|seconds|gap|duration|silent|rate|minute|second|tag|mark|token|digest|bytes|next|messageId)$"
)


def _story(session: Connection) -> Iterator[tuple[str, object]]:
    """Report on a job, ask everything about it, and end it; yield what was called, and what came back."""
    yield "create_job", _answer(session, "create_job('j', '{\"a\": \"x\\\\y\"}')")
    for number, update in enumerate(_UPDATES):
        yield f"update {number}", _answer(session, "merge_progress('j', %s)", Jsonb(update))
    for number, call in enumerate(_CALLS):
        yield f"{number} {call}", _answer(session, call)


def _answer(session: Connection, call: str, *parameters: object) -> object:
    """Call a function, and return its rows; or how it refused. Binary results do not depend on settings."""
    # In E'...' a backslash means the same in each session.
    query = re.sub(r"'((?:[^']|'')*)'", lambda found: "E'" + found[1].replace("\\", "\\\\") + "'", call)
    try:
        with session.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(f"SELECT * FROM tallymark.{query}".encode(), parameters, binary=True).fetchall()
    except psycopg.Error as error:
        texts = (error.sqlstate, error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
        return [_lasting(text) for text in texts]
    return _lasting(found)


def _lasting(value: object, key: str = "") -> object:
    """Return a value without what depends on the moment of the call; a time of now must have its usual form."""
    if isinstance(value, dict):
        return {name: _lasting(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [_lasting(member, key) for member in value]
    if isinstance(value, datetime):
        at = value.astimezone(UTC).isoformat()
        return at if at.startswith(_GIVEN) else "<now>"
    if _MOMENTARY.search(key) and value is not None:
        return type(value).__name__
    if isinstance(value, str):
        value = re.sub(r"\d+(\.\d+)? s ago", "<some> s ago", value)
        return _TIME.sub(lambda found: found[0] if found[0].startswith(_GIVEN) else f"<now{found[1]}>", value)
    return value


@pytest.fixture(scope="module")
def usual() -> dict[str, object]:
    """What comes back in a session with PostgreSQL's defaults, once it was asked for."""
    return {}


@pytest.mark.parametrize(("name", "value"), _CASES, ids=[f"{name}={value}" for name, value in _CASES])
def test_functions_do_not_depend_on_a_setting(
    db: Connection, db_url: str, usual: dict[str, object], name: str, value: str
) -> None:
    """Reports, reads, checks, alerts and pruning give what they give with PostgreSQL's defaults."""
    if name not in known(db):
        pytest.skip("this version of PostgreSQL has no such setting")
    if not usual:
        with psycopg.connect(db_url, autocommit=True) as session:
            usual.update(_story(session))
        _empty(db)
    with psycopg.connect(db_url, autocommit=True) as session:
        session.execute(f"SET {name} = {value if ',' in value else repr(value)}".encode())
        found = dict(_story(session))
    assert [*_lines(found)] == [*_lines(usual)]


def _lines(value: object, path: str = "") -> Iterator[str]:
    """Yield a line for each value in a structure, with the way to it, so that a failure shows what differs."""
    if isinstance(value, dict | list) and value:
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _lines(member, f"{path} / {key}")
    else:
        yield f"{path}: {value!r}"


def _empty(db: Connection) -> None:
    """Remove all jobs and what belongs to them."""
    rows = db.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'tallymark'")
    db.execute(f"TRUNCATE {', '.join(name for (name,) in rows)}".encode())
