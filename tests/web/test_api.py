"""The Python functions, on the caller's own connection."""

import subprocess
import sys
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import tallymark
from tallymark.functions import errors

Connection = psycopg.Connection[Any]

UPDATE = {"status": "processing", "timestamp": "2025-01-06T19:15:30.000Z", "itemsByType": {"issues": 1}}


def test_each_function_gives_what_the_stored_one_gives(db: Connection) -> None:
    """A job is registered, merged, read and verified, with any row factory of the connection."""
    db.row_factory = dict_row
    assert tallymark.create_job(db, "j", {"account": 1})["created"] is True
    assert tallymark.create_job(db, "j")["created"] is False
    assert tallymark.merge_progress(db, "j", UPDATE)["seq"] == 1
    assert tallymark.get_job(db, "j", timeline_limit=0)["progress"] == {"itemsByType": {"issues": 1}, "timeline": []}
    [event] = tallymark.timeline(db, "j")
    assert (event.seq, event.event, event.details["itemsByType"]) == (1, "progress_update", {"issues": 1})
    assert tallymark.timeline(db, "j", after_seq=1, max_events=5, event_kind="error") == []
    assert tallymark.timeline_page(db, "j", max_events=1)["next"] is None
    assert (tallymark.job_ids(db, max_jobs=1), tallymark.job_ids(db, after_id="j")) == (["j"], [])
    assert tallymark.verify_job(db, "j") is True
    db.execute("UPDATE tallymark.job SET progress = progress || '{\"stage\": \"x\"}' WHERE id = 'j'")
    assert tallymark.verify_job(db, "j") is False
    [difference] = tallymark.verify_differences(db, "j")
    assert (difference.field, difference.stored, difference.folded) == ("stage", "x", None)


def test_nothing_is_committed_for_the_caller(db_url: str) -> None:
    """An update that the caller rolls back never happened."""
    with psycopg.connect(db_url) as connection:
        tallymark.create_job(connection, "j")
        connection.commit()
        tallymark.merge_progress(connection, "j", UPDATE)
        connection.rollback()
        assert tallymark.timeline(connection, "j") == []


def test_a_refusal_is_an_exception_with_all_that_is_wrong(db: Connection) -> None:
    """With class, SQLSTATE, HTTP status and every problem."""
    tallymark.create_job(db, "j")
    with pytest.raises(tallymark.InvalidUpdate, match="Invalid progress payload") as caught:
        tallymark.merge_progress(db, "j", {"processedItems": -1, "stage": 5})
    error = caught.value
    assert (error.sqlstate, error.http_status) == ("TK400", 400)
    assert {problem["field"] for problem in error.details} == {"processedItems", "stage"}
    assert error.hint
    with pytest.raises(tallymark.JobNotFound) as unknown:
        tallymark.get_job(db, "nobody")
    assert (unknown.value.sqlstate, unknown.value.http_status) == ("TK404", 404)
    with pytest.raises(tallymark.PayloadTooLarge):
        tallymark.merge_progress(db, "j", {"x": "y" * 2_000_000})


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_cannot_be_sent_is_refused_like_any_other(db: Connection, text: str) -> None:
    """In the id and in the payload; no exception of psycopg gets through."""
    tallymark.create_job(db, "j")
    with pytest.raises(tallymark.InvalidUpdate) as caught:
        tallymark.merge_progress(db, text, UPDATE)
    assert caught.value.details
    with pytest.raises(tallymark.InvalidUpdate):
        tallymark.merge_progress(db, "j", {**UPDATE, "message": text})


def test_a_lock_that_is_not_to_be_had_means_unavailable(db: Connection, db_url: str) -> None:
    """Unavailable means that the same call may succeed later."""
    tallymark.create_job(db, "j")
    db.execute("SET lock_timeout = '50ms'")
    with psycopg.connect(db_url) as holder:
        holder.execute("SELECT FROM tallymark.job WHERE id = 'j' FOR UPDATE")
        with pytest.raises(tallymark.Unavailable) as caught:
            tallymark.merge_progress(db, "j", UPDATE)
    assert caught.value.http_status == 503


def test_a_connection_that_is_gone_means_unavailable(db: Connection, db_url: str) -> None:
    """Whether the server closed it or has just vanished."""
    with psycopg.connect(db_url, autocommit=True) as cut:
        db.execute("SELECT pg_terminate_backend(%s, 5000)", [cut.info.backend_pid])
        for _ in range(2):
            with pytest.raises(tallymark.Unavailable):
                tallymark.get_job(cut, "j")


@pytest.mark.parametrize(
    ("sqlstate", "kind", "status"),
    [
        ("TK409", tallymark.Conflict, 409),
        ("TK418", errors.Refused, 418),
        ("57P01", tallymark.Unavailable, 503),
        ("53300", tallymark.Unavailable, 503),
        ("40001", tallymark.Unavailable, 503),
        ("40P01", tallymark.Unavailable, 503),
        ("23505", tallymark.Unavailable, 503),
        ("57014", tallymark.Unavailable, 503),
        ("42P01", tallymark.Unavailable, 503),
        ("42703", tallymark.Unavailable, 503),
        ("XX000", tallymark.Unavailable, 503),
        ("XX002", tallymark.Unavailable, 503),
        ("42501", tallymark.Unavailable, 503),
        ("54001", tallymark.InvalidUpdate, 400),
        ("22012", tallymark.TallymarkError, 500),
        ("P0001", tallymark.TallymarkError, 500),
    ],
)
def test_the_sqlstate_alone_decides(
    db: Connection, sqlstate: str, kind: type[tallymark.TallymarkError], status: int
) -> None:
    """The message and the class that psycopg picks do not matter."""
    with pytest.raises(psycopg.Error) as raised:
        db.execute(f"DO $$ BEGIN RAISE 'Job not found' USING ERRCODE = '{sqlstate}'; END $$")
    error = errors.from_psycopg(raised.value)
    assert type(error) is kind
    assert (error.sqlstate, error.http_status) == (sqlstate, status)


@pytest.mark.parametrize("sqlstate", ["22012", "P0001", "42883"])
def test_an_error_that_ends_the_session_means_unavailable(db_url: str, sqlstate: str) -> None:
    """It is no defect of a function, whatever its code is: the same call may succeed in another session."""
    with psycopg.connect(db_url, autocommit=True) as connection:
        connection.execute("SET exit_on_error = on")
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(f"DO $$ BEGIN RAISE 'it is over' USING ERRCODE = '{sqlstate}'; END $$")
        assert type(errors.from_psycopg(raised.value)) is tallymark.Unavailable


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Flask and the driver are loaded with the first name that needs them; every public name exists."""
    program = (
        "import sys, tallymark; print([name for name in ('flask', 'psycopg', 'yoyo') if name in sys.modules],"
        " all(getattr(tallymark, name) for name in tallymark.__all__), set(tallymark.__all__) <= set(dir(tallymark)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "True", "True"]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        _ = tallymark.nothing_of_ours
