"""The views for readers: the examples of the documents work, and upgrades and the views of others go together."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tallymark.schema.doctor import findings
from tallymark.schema.migrate import MigrationError, available, migrate, rollback

Connection = psycopg.Connection[Any]

_GUIDE = Path(__file__).parents[2] / "docs" / "calling-from-sql.md"


def examples() -> list[str]:
    """Return the statements in the guide's section on SELECT."""
    section = _GUIDE.read_text(encoding="utf-8").partition("\n### Views: read with SELECT\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sql\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def shop(db: Connection) -> Connection:
    """A database with a few jobs."""
    for number in (1, 2):
        db.execute('SELECT tallymark.create_job(%s, \'{"account": "acme"}\')', [f"shop-{number}"])
        for update in (
            {"status": "started", "totalItems": 100, "stage": "fetch"},
            {"processedItems": 50 * number, "itemsByType": {"pages": 40, "images": 10 * number}, "message": "half"},
            {"error": {"type": "Timeout", "message": "no answer"}},
        ):
            db.execute("SELECT tallymark.merge_progress(%s, %s)", [f"shop-{number}", Jsonb(update)])
    db.execute("SELECT tallymark.create_job('bank-1')")
    return db


@pytest.fixture
def reader(shop: Connection) -> Iterator[Connection]:
    """The same connection as a reader who owns a schema."""
    shop.execute("CREATE SCHEMA shop AUTHORIZATION tallymark_reader")
    shop.execute("SET ROLE tallymark_reader")
    shop.execute("SET search_path = shop")
    yield shop
    shop.execute("RESET ROLE")


def test_the_examples_of_the_guide_give_what_they_say(reader: Connection) -> None:
    """Each is run as a reader."""
    running, by_type, reported, errors, later, own = examples()
    assert [row[:5] for row in reader.execute(running.encode())] == [
        ("shop-1", "fetch", 50, 100, 50),
        ("shop-2", "fetch", 100, 100, 100),
    ]
    assert reader.execute(by_type.encode()).fetchall() == [("images", 30), ("pages", 80)]
    assert [(job, status, events) for job, status, _percentage, events in reader.execute(reported.encode())] == [
        ("shop-1", "running", 3),
        ("shop-2", "running", 3),
    ]
    assert sorted(row[1:] for row in reader.execute(errors.encode())) == [
        ("shop-1", "acme", "no answer"),
        ("shop-2", "acme", "no answer"),
    ]
    assert [
        (seq, kind, status, message) for seq, kind, status, _at, _by, message in reader.execute(later.encode())
    ] == [
        (2, "progress_update", "processing", "half"),
        (3, "error", "processing", None),
    ]
    reader.execute(own.encode())
    assert len(reader.execute("SELECT * FROM shop_jobs").fetchall()) == 2


def test_a_view_of_a_reader_shows_somebody_else_a_part(reader: Connection) -> None:
    """Who may select from it need not be a reader, and sees nothing else."""
    reader.execute(examples()[-1].encode())
    reader.execute("GRANT USAGE ON SCHEMA shop TO pg_monitor")
    reader.execute("GRANT SELECT ON shop_jobs TO pg_monitor")
    reader.execute("RESET ROLE")
    reader.execute("SET ROLE pg_monitor")
    assert reader.execute("SELECT id, items_by_type FROM shop_jobs ORDER BY id").fetchall() == [
        ("shop-1", {"pages": 40, "images": 10}),
        ("shop-2", {"pages": 40, "images": 20}),
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("SELECT id FROM tallymark.jobs")
    reader.execute("RESET ROLE")


def test_a_later_migration_adds_columns_to_the_tables_whatever_looks_at_the_views(reader: Connection) -> None:
    """Neither our views nor those of others are in the way."""
    reader.execute("CREATE VIEW everything AS SELECT * FROM tallymark.jobs")
    reader.execute("RESET ROLE")
    for table in ("job", "job_event"):
        reader.execute(f"ALTER TABLE tallymark.{table} ADD COLUMN later bigint NOT NULL DEFAULT 7".encode())
    assert len(reader.execute("SELECT * FROM shop.everything").fetchall()) == 3


def test_an_upgrade_adds_columns_to_a_view_on_which_others_are_built(db: Connection, db_url: str) -> None:
    """As if an earlier release had installed fewer columns; the views of others stay, and show what they showed."""
    names = ["id", "status", "stage"]
    db.execute("DROP VIEW tallymark.jobs")
    db.execute(
        "CREATE VIEW tallymark.jobs AS SELECT j.id, j.status, j.progress ->> 'stage' AS stage FROM tallymark.job AS j"
    )
    db.execute("ALTER VIEW tallymark.jobs OWNER TO tallymark_owner")
    db.execute("CREATE VIEW public.theirs AS SELECT * FROM tallymark.jobs")
    db.execute("SELECT tallymark.create_job('job')")
    assert findings(db_url) != []
    migrate(db_url)
    assert findings(db_url) == []
    shown = db.execute("SELECT * FROM public.theirs")
    assert [column.name for column in shown.description or []] == names
    assert shown.fetchall() == [("job", "queued", None)]


def test_a_rollback_does_not_drop_what_others_built_on_the_views(db: Connection, db_url: str) -> None:
    """PostgreSQL names it, and nothing is taken back; without it the views go, and come again."""
    db.execute("CREATE VIEW public.theirs AS SELECT id FROM tallymark.jobs")
    steps = len(available()) - [name[:4] for name in available()].index("0018")
    with pytest.raises(MigrationError, match="theirs"):
        rollback(db_url, steps=steps)
    assert db.execute("SELECT count(*) FROM public.theirs").fetchone() == (0,)
    db.execute("DROP VIEW public.theirs")
    rollback(db_url, steps=steps)
    row = db.execute("SELECT to_regclass('tallymark.jobs'), to_regclass('tallymark.events')").fetchone()
    assert row == (None, None)
    migrate(db_url)
    assert findings(db_url) == []
