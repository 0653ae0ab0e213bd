"""Operators find the transaction that holds a job by the SQL of docs/diagnosing.md, and end it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.web.conftest import Web

from tallymark.schema.migrate import migrate
from tallymark.server.postgres import EmbeddedPostgres

Update = Callable[..., dict[str, object]]

_SECTION = (
    (Path(__file__).parents[2] / "docs/diagnosing.md").read_text().split("## Who holds a job?")[1].split("\n## ")[0]
)
#: The list of all transactions, which of them holds one job, and how to end it.
_ALL, _ONE, _END = re.findall(r"```sql\n(.*?)```", _SECTION, re.DOTALL)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web server on a database that allows prepared transactions, and that waits for held jobs for a short time."""
    directory = tmp_path_factory.mktemp("holders")
    with EmbeddedPostgres(directory / "data") as server:
        with psycopg.connect(server.url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
        server.stop()
        server.start()
        migrate(server.url)
        web = Web(server.url, directory / "log", {"TALLYMARK_LOCK_TIMEOUT": "200"})
        yield web
        web.stop()


@pytest.mark.parametrize("how", ["FOR UPDATE", "UPDATE", "PREPARE TRANSACTION"])
def test_the_holder_of_a_job_is_found_and_ended(web: Web, update: Update, how: str) -> None:
    """An open transaction, or a prepared one that was forgotten. The answers are 503 before, and 200 after it."""
    assert web.register(how).status == 201
    url = web.database_url
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True, row_factory=dict_row) as db:
        if how == "UPDATE":
            holder.execute("UPDATE tallymark.job SET attributes = '{}' WHERE id = %s", [how])
        else:
            holder.execute("SELECT FROM tallymark.job WHERE id = %s FOR UPDATE", [how])
        pid: int | None = holder.info.backend_pid
        name = None
        if how == "PREPARE TRANSACTION":
            pid, name = None, "it's forgotten"
            holder.execute("PREPARE TRANSACTION 'it''s forgotten'")
        answer = web.report(update(how))
        assert (answer.status, answer.json["error"]) == (503, "Database busy")
        assert answer.json["detail"] == (
            "Another transaction has held the job for too long. Nothing was changed. Send the request again later."
        )
        assert [(one["pid"], one["prepared"]) for one in db.execute(_ALL)] == [(pid, name)]
        found = db.execute(_ONE.replace("'JOB'", f"'{how}'")).fetchall()
        assert found == [{"id": how, "pid": pid, "prepared": name}]
        terminate, roll_back, _ = _END.split("\n")
        db.execute(terminate.replace("PID", str(pid)) if pid else roll_back.replace("NAME", "it''s forgotten"))
        if pid:
            with pytest.raises(psycopg.OperationalError):
                holder.execute("SELECT")
        assert web.report(update(how)).status == 200
    assert web.log.read_text().count("Who holds a job?") == 1, "within a minute"
