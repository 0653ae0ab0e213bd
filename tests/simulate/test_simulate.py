"""`tallymark simulate`: a crowd on a bad network and a real server, and the output when a count is wrong."""

import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from tests.cli.terminal import in_terminal
from tests.web.conftest import TOKEN, Web

from tallymark import functions
from tallymark.cli import cli
from tallymark.client.transport import PROGRESS_PATH, Answer
from tallymark.server.ports import some_free_port
from tallymark.server.web_address import WebAddress
from tallymark.simulate import crowd, old_crawler, plan
from tallymark.simulate.chaos import ChaosTransport
from tallymark.simulate.old_crawler import OldCrawler

StartWeb = Callable[..., Web]

#: The fourth job is an old crawler's.
_SMALL = ("--jobs", "5", "--seconds", "4", "--seed", "7", "--rate", "80")


@pytest.fixture
def server(start_web: StartWeb, db_url: str) -> Web:
    """A server that only this test has."""
    return start_web(db_url)


def place(server: Web) -> tuple[str, ...]:
    """The options with the server's address."""
    return ("--url", f"http://127.0.0.1:{server.port}", "--token", TOKEN)


def simulate(*arguments: str) -> Result:
    """Run the command here, so that tests can plant defects."""
    return CliRunner().invoke(cli, ["simulate", *arguments])


def items_of(progress: dict[str, Any]) -> int:
    """How many items a job has processed; where they are counted by keys, only the counts by type say so."""
    by_type: dict[str, int] = progress.get("itemsByType") or {}
    items = sum(count for kind, count in by_type.items() if kind not in {"groups", "projects", "requests"})
    return int(progress.get("processedItems", items))


def test_every_count_is_exact_on_a_bad_network(server: Web) -> None:
    """The crawlers' own counts and the ledger of every job agree."""
    done = simulate(*place(server), *_SMALL, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["exact"]
    assert said["differences"] == []
    assert said["jobs"] >= 5
    assert said["oldCrawlers"] >= 1
    assert said["answersLost"] + said["requestsLost"] + said["sentTwice"] > 0
    with psycopg.connect(server.database_url, autocommit=True) as db:
        ids = functions.job_ids(db)
        assert len(ids) == said["jobs"]
        assert all(functions.verify_job(db, job_id) for job_id in ids)
        items = sum(map(items_of, (functions.get_job(db, job_id)["progress"] for job_id in ids)))
    assert items == said["items"] > 0


def test_crawls_that_go_wrong_in_every_way_are_exact(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is killed, moved to an empty spool, paused, failed and restarted, waits, and renews its credential."""
    for turn in plan._CHANCES:
        monkeypatch.setitem(plan._CHANCES, turn, 1.0)
    # All of it early, before a crawl is cancelled or the time is over, however slow the machine. Only crawls with keys
    # move.
    monkeypatch.setattr(plan, "_BEGIN", 0.0)
    monkeypatch.setattr(plan, "_END", 0.15)
    monkeypatch.setattr(plan, "_STYLES", ("items", "pages", "keys", "keys"))
    monkeypatch.setattr(crowd, "_COMMAND_PART", 0.04)
    done = simulate(*place(server), "--jobs", "8", "--seconds", "6", "--rate", "100", "--seed", "7", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["killed"] > 0
    assert said["moved"] > 0
    assert said["waits"] > 0
    assert said["commands"] > 0
    with psycopg.connect(server.database_url, autocommit=True) as db:
        assert all(functions.verify_job(db, job_id) for job_id in functions.job_ids(db))


def test_a_good_network_loses_nothing(server: Web) -> None:
    """Without chaos, only the crawlers' own failures are left."""
    done = simulate(*place(server), "--jobs", "4", "--seconds", "2", "--no-chaos", "--prefix", "calm-")
    assert done.exit_code == 0, done.output
    assert "0 answers lost, 0 requests lost, 0 sent twice, 0 late" in done.stdout
    assert done.stdout.rstrip().endswith("every count exact")
    with psycopg.connect(server.database_url, autocommit=True) as db:
        assert all(job_id.startswith("calm-") for job_id in functions.job_ids(db))


def test_an_update_that_counts_twice_is_noticed(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another time it is another update: an old crawler that repeats itself this way counts too much."""
    send = OldCrawler._send

    def twice(crawler: OldCrawler, path: str, body: str) -> int:
        update = json.loads(body)
        if path == PROGRESS_PATH and "itemsByType" in update:
            later = re.sub(r"\.(\d\d\d)Z$", r".\g<1>5Z", update["timestamp"])
            send(crawler, path, json.dumps({**update, "timestamp": later}))
        return send(crawler, path, body)

    monkeypatch.setattr(OldCrawler, "_send", twice)
    # Running totals would not be wrong.
    monkeypatch.setattr(old_crawler, "_CUMULATIVE", 0.0)
    done = simulate(*place(server), *_SMALL)
    assert done.exit_code == 1, done.output
    assert re.search(r"^demo-\w+-004 +itemsByType\.branches +\d+ +\d+$", done.stdout, re.MULTILINE), done.stdout
    assert "not exact" in done.stdout
    assert "--seed 7" in done.stdout


def test_an_update_that_is_acknowledged_and_not_counted_is_noticed(
    server: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that answers in the server's place counts nothing."""
    send = ChaosTransport._send

    def swallow(transport: ChaosTransport, path: str, body: str, timeout: float) -> Answer:
        sent = json.loads(body)
        updates = sent if isinstance(sent, list) else [sent]
        if any("commits" in update.get(field, {}) for update in updates for field in ("itemsByType", "itemKeys")):
            answers = [{"status": "received", "seq": 1, "duplicate": False} for _ in updates]
            return Answer(200, answers if isinstance(sent, list) else answers[0])
        return send(transport, path, body, timeout)

    monkeypatch.setattr(ChaosTransport, "_send", swallow)
    done = simulate(*place(server), *_SMALL, "--json")
    assert done.exit_code == 1, done.output
    said = json.loads(done.stdout)
    assert not said["exact"]
    wrong = [each for each in said["differences"] if each["what"] == "itemsByType.commits"]
    assert any((each["counted"] or 0) < each["true"] for each in wrong), said


def test_a_server_that_goes_away_for_good_is_in_the_verdict(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing hangs, and the verdict does not claim that the counts are exact."""
    monkeypatch.setattr("tallymark.simulate.crowd._SETTLE_SECONDS", 2.0)
    monkeypatch.setattr("tallymark.simulate.verdict._PATIENCE", 1.0)
    killer = threading.Timer(3.0, server.process.kill)
    killer.start()
    done = simulate(*place(server), "--jobs", "4", "--seconds", "5", "--seed", "7", "--json")
    killer.join()
    assert done.exit_code == 1, done.output
    assert any("no server answers" in str(each["counted"]) for each in json.loads(done.stdout)["differences"])


def test_ctrl_c_ends_it_early_with_a_verdict(server: Web) -> None:
    """The crowd pauses and delivers; the work so far is checked."""
    arguments = ("simulate", *place(server), "--jobs", "6", "--seconds", "60", "--prefix", "[red]\x1b[2J-")
    with in_terminal(*arguments, width=140) as terminal:
        terminal.until(lambda screen: " to go  6 jobs" in screen and "collecting" in screen)
        terminal.type(b"\x03")
        assert terminal.end() == 130
        assert "every count exact" in " ".join(terminal.screen().split())
        assert r"[red]\x1b[2J-" in terminal.screen(), "what is in an id is nothing but text"
        assert b"\x1b[2J" not in terminal.written


def test_the_picture_fits_a_narrow_terminal(server: Web) -> None:
    """As many as fit are shown, and the others are counted."""
    arguments = ("simulate", *place(server), "--jobs", "12", "--seconds", "60")
    with in_terminal(*arguments, width=70, height=12) as terminal:
        screen = terminal.until(lambda screen: "more jobs" in screen and "12 jobs" in screen)
        shown = [line for line in screen.splitlines() if line.startswith("demo")]
        assert f"and {12 - len(shown)} more jobs" in screen
        assert max(map(len, screen.splitlines())) <= 70


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with a token, and an environment that names no server."""
    for name in ("CRAWLER_API_TOKEN", "DATABASE_URL", "TALLYMARK_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TALLYMARK_DATA_DIR", str(tmp_path))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return tmp_path


def test_a_server_that_is_not_there_is_a_sentence(bare: Path) -> None:
    """Nothing starts."""
    done = simulate()
    assert done.exit_code == 2
    assert f"no `tallymark up` runs on {bare}" in done.output
    url = f"http://127.0.0.1:{some_free_port('127.0.0.1')}"
    done = simulate("--url", url, "--token", "t")
    assert done.exit_code == 2
    assert f"no server answers at {url}" in done.output


def test_the_running_server_is_found_with_its_token(server: Web, bare: Path) -> None:
    """On whatever port, and also by another name of this machine."""
    address = WebAddress(bare)
    address.write(f"http://127.0.0.1:{server.port}")
    try:
        for given in ((), ("--data", str(bare)), ("--url", f"http://localhost:{server.port}/")):
            done = simulate(*given, "--jobs", "1", "--seconds", "1", "--no-chaos")
            assert done.exit_code == 0, done.output
    finally:
        address.remove()
    assert simulate().exit_code == 2, "it has ended"


def test_the_token_of_a_data_directory_goes_to_no_other_server(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else who listens on the usual port, or at the address in the environment, gets nothing."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.0)
        url = f"http://127.0.0.1:{stranger.getsockname()[1]}"
        (bare / "web").write_text(f"{url}\n")  # left by a server that was killed
        assert f"no `tallymark up` runs on {bare}" in simulate().output
        done = simulate("--url", url)
        assert done.exit_code == 2
        assert f"no token for {url}: it is not the server of {bare}" in done.output
        monkeypatch.setenv("TALLYMARK_URL", url)
        assert f"no token for {url}" in simulate().output
        with pytest.raises(BlockingIOError):
            stranger.accept()


def test_a_token_that_opens_nothing_is_a_sentence(server: Web) -> None:
    """The message has the server's reason."""
    done = simulate("--url", f"http://127.0.0.1:{server.port}", "--token", "wrong")
    assert done.exit_code == 2
    assert "answers 401 Unauthorized" in done.output
