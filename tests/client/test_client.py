"""Reports arrive, in few requests, and a restart continues where the crawl was."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.web.conftest import TOKEN, Web

from tallymark.client.channel import Channel
from tallymark.client.records import Waiting
from tallymark.client.transport import Answer, HttpTransport

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


class Spy:
    """Real HTTP that keeps every request."""

    def __init__(self, port: int) -> None:
        """Connect to the server."""
        self._http = HttpTransport(f"http://127.0.0.1:{port}", TOKEN)
        self.bodies: list[str] = []
        self.answers: list[tuple[str, int]] = []

    def post(self, path: str, body: str, *, timeout: float) -> Answer:
        """Keep the request and the status of its answer, and send it."""
        self.bodies.append(body)
        answer = self._http.post(path, body, timeout=timeout)
        self.answers.append((path, answer.status))
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    @property
    def updates(self) -> list[dict[str, Any]]:
        """All updates, in the order in which they were sent."""
        bodies = [json.loads(body) for body in self.bodies]
        return [one for body in bodies for one in (body if isinstance(body, list) else [body]) if "status" in one]


def test_a_job_is_registered_begun_counted_and_completed(make_client: "Make", name: str, look: "Look") -> None:
    """The `with` block does all of it."""
    with make_client().job(name, attributes={"for": "a test"}, parent=f"{name} as a whole") as job:
        assert (job.resume.last_processed_id, job.resume.processed_items, job.resume.source) == (None, 0, "server")
        job.advance("issues", 10, last_id="issue-10")
        job.advance("commits")
        job.advance("requests", 3, processed=0)
    found = look(name)
    assert found["status"] == "finished"
    assert (found["attributes"], found["parent"]) == ({"for": "a test"}, f"{name} as a whole")
    assert look.counts(name) == ({"issues": 10, "commits": 1, "requests": 3}, 11)
    assert found["progress"]["lastProcessedId"] == "issue-10"


def test_a_first_run_registers_its_job_first_and_meets_no_refusal(make_client: "Make", name: str, web: Web) -> None:
    """A log and a diagnosis have nothing to tell. A later run finds the job there."""
    spy = Spy(web.port)
    client = make_client(transport=spy)
    for run in (1, 2):
        with client.job(name, attributes={"for": "a test"}) as job:
            job.advance("issues", 10)
        if run == 1:
            assert spy.answers[0] == ("/api/internal/jobs", 201)
            assert set(spy.answers[1:]) == {("/api/internal/jobs/progress", 200)}
    assert {status for _path, status in spy.answers[1:]} == {200}


def test_an_update_that_comes_while_the_sender_looks_is_sent_after_its_job_was_registered(
    make_client: "Make", name: str, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender looks as soon as the job starts, and may find no update yet."""
    looks = threading.Event()
    put, head, is_held = Channel.put, Channel.head, vars(Channel)["is_held"].fget

    def look(channel: Channel) -> bool:
        looks.set()
        return bool(is_held(channel))

    def wait_and_put(channel: Channel, *args: Any) -> int:  # noqa: ANN401 - those of `put`
        assert looks.wait(60)
        return put(channel, *args)

    def wait_and_read(channel: Channel, most: int, size: int) -> list[Waiting]:
        until = time.monotonic() + 5
        while not len(channel.outbox) and time.monotonic() < until:
            time.sleep(0.001)
        return head(channel, most, size)

    spy = Spy(web.port)
    with monkeypatch.context() as patch:
        patch.setattr(Channel, "is_held", property(look))
        patch.setattr(Channel, "put", wait_and_put)
        patch.setattr(Channel, "head", wait_and_read)
        with make_client(transport=spy).job(name) as job:
            job.advance("issues", 10)
    assert spy.answers[0] == ("/api/internal/jobs", 201)


def test_a_job_that_is_deleted_while_its_crawler_runs_is_registered_again(
    make_client: "Make", name: str, web: Web, look: "Look"
) -> None:
    """What comes after the deletion counts."""
    with make_client().job(name) as job:
        job.advance("issues", 10)
        assert job.flush()
        with psycopg.connect(web.database_url, autocommit=True) as db:
            db.execute("DELETE FROM tallymark.job_event WHERE job_id = %s", [name])
            db.execute("DELETE FROM tallymark.job WHERE id = %s", [name])
        job.advance("issues", 5)
        assert job.flush()
    assert look.counts(name)[0] == {"issues": 5}


def test_a_job_that_is_not_there_and_not_to_be_registered_stays_unknown(
    make_client: "Make", name: str, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """The refused updates are kept, and no exception stops the crawl."""
    client = make_client(retries=0, start_timeout=1.0, end_timeout=2.0)
    with client.job(name, register=False) as job:
        job.advance("issues")
        job.flush(timeout=2.0)
        refused = job.refused()
    assert web.call("GET", f"/api/internal/jobs/{name}").status == 404
    assert [answer["status"] for _payload, answer in refused] == [404] * len(refused)
    assert refused[-1][0]["itemsByType"] == {"issues": 1}
    assert "Job not found" in caplog.text


def test_a_restart_goes_on_where_the_crawl_was(make_client: "Make", name: str, look: "Look") -> None:
    """Cursor, state and counts come from the server, even after a failed run."""
    with make_client().job(name) as job:
        job.advance("issues", 7, last_id=7)
        job.checkpoint({"page": 3})
        job.fail("no more disk")
    with make_client(spool=None).job(name) as job:
        assert job.resume.source == "server"
        assert job.resume.last_processed_id == "7"
        assert job.resume.state == {"page": 3}
        assert job.resume.items_by_type == {"issues": 7}
        assert job.resume.processed_items == 7
        job.advance("issues", 5, last_id=12)
    assert look.counts(name) == ({"issues": 12}, 12)


def test_a_completed_crawl_leaves_no_state_behind(make_client: "Make", name: str) -> None:
    """The next run starts with the counts, and without the state."""
    with make_client().job(name) as job:
        job.checkpoint({"page": 3}, last_id="3")
    with make_client().job(name) as job:
        assert job.resume.state is None


def test_many_small_steps_make_few_updates(make_client: "Make", name: str, web: Web, look: "Look") -> None:
    """Ten thousand calls at full speed send no more than ten updates a second."""
    web.register(name)
    spy = Spy(web.port)
    with make_client(transport=spy, every_items=50, every_seconds=1.0).job(name) as job:
        for number in range(10_000):
            job.advance("issues", last_id=number)
    assert look.counts(name) == ({"issues": 10_000}, 10_000)
    assert len(spy.updates) < 30
    assert look(name)["lastSeq"] == len(spy.updates)


def test_an_update_goes_out_after_some_items_or_some_seconds(make_client: "Make", name: str, look: "Look") -> None:
    """No flush is needed."""
    with make_client(every_items=5, every_seconds=600.0).job(name) as job:
        job.advance("issues", 4)
        _until(lambda: look(name)["lastSeq"] >= 1)
        assert look.counts(name) == ({}, 0)
        job.advance("issues")
        _until(lambda: look.counts(name) == ({"issues": 5}, 5))
    with make_client(every_items=1000, every_seconds=0.2).job(name) as job:
        job.advance("issues")
        _until(lambda: look.counts(name) == ({"issues": 6}, 6))


def test_updates_are_small_in_order_and_have_ids(make_client: "Make", name: str, web: Web, look: "Look") -> None:
    """Under 10 KB each with a thousand types, the most of a state, and large fields; times rise, and ids are unique."""
    web.register(name)
    spy = Spy(web.port)
    with make_client(transport=spy).job(name) as job:
        for number in range(998):  # groups and projects are types, too
            job.advance(f"type {'x' * 80} {number}")
            job.report(**{f"field{number % 20}": "y" * 500})
            if number % 100 == 0:
                job.event("hundred", {"number": number})
        job.discovered([{"type": "group", "fullPath": f"g{n}", "name": "z" * 300} for n in range(100)])
    assert max(len(json.dumps(update)) for update in spy.updates) < 10_000
    times = [update["timestamp"] for update in spy.updates]
    assert all(a < b for a, b in pairwise(times))
    assert len({update["updateId"] for update in spy.updates}) == len(spy.updates)
    by_type, processed = look.counts(name)
    assert (by_type.pop("groups"), by_type.pop("projects")) == (100, 0)
    assert (processed, len(by_type)) == (998, 998)
    with psycopg.connect(web.database_url) as db:
        assert db.execute("SELECT tallymark.verify_job(%s)", [name]).fetchone() == (True,)


def test_a_key_counts_once_also_after_restarts(make_client: "Make", name: str, look: "Look") -> None:
    """For crawls without an order. A count of 0 only marks the key."""
    with make_client().job(name) as job:
        assert job.advance("pages", key="/a")
        assert not job.advance("pages", key="/a")
        assert job.advance("pages", 0, key="/b")
        assert job.seen("/a")
        assert job.seen("/b")
        assert not job.seen("/c")
        job.pause()
    with make_client().job(name) as job:
        assert job.seen("/a")
        assert not job.advance("pages", key="/a")
        assert not job.advance("pages", key="/b")
        assert job.advance("pages", key="/c")
    assert look.counts(name) == ({"pages": 2}, 0), "a key that is sent again must not raise processedItems"


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_clock_that_is_set_loses_no_cursor(
    make_client: "Make", name: str, look: "Look", monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """The clock moves by a day between two runs, or a run restarts within a second: the newest cursor wins."""
    import time

    true_time = time.time_ns
    with make_client(spool=None).job(name) as job:
        job.advance("issues", last_id="1")
        job.pause()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: true_time() + seconds * 10**9)
        with make_client(spool=None).job(name) as job:
            assert job.resume.last_processed_id == "1"
            job.advance("issues", last_id="2")
            assert job.flush()
            assert look(name)["progress"]["lastProcessedId"] == "2"
            patched.setattr(time, "time_ns", lambda: true_time() - seconds * 10**9)
            job.advance("issues", last_id="3")
            assert job.flush()
            job.advance("issues", last_id="4")
            job.pause()
    with make_client(spool=None).job(name) as job:
        assert job.resume.last_processed_id == "4"
    assert look.counts(name) == ({"issues": 4}, 4)
    assert look(name)["status"] == "finished"


def test_wrong_arguments_are_errors_and_end_no_job(make_client: "Make", name: str) -> None:
    """They are mistakes in the crawler, unlike a server that is away."""
    with make_client().job(name) as job:
        with pytest.raises(ValueError, match="taken back"):
            job.advance("issues", -1)
        with pytest.raises(TypeError):
            job.advance("issues", 1.5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="whole number"):
            job.total(-1)
        with pytest.raises(ValueError, match="taskId"):
            job.report(taskId="other")
        with pytest.raises(ValueError, match="expiry"):
            job.credential("gone")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            job.checkpoint({1, 2})
        with pytest.raises(ValueError, match="JSON"):
            job.checkpoint(float("nan"))
        assert job.advance("issues")


def test_the_client_loads_neither_the_server_nor_the_database() -> None:
    """A crawler's process stays small."""
    code = (
        "import sys, tallymark.client; from tallymark import ProgressClient; "
        "ProgressClient('http://127.0.0.1:1', token='x').close(); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'flask', 'psycopg', 'psycopg_pool', 'click', 'granian', 'rich', 'werkzeug', 'yoyo'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _until(holds: Callable[[], bool]) -> None:
    import time

    give_up = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.05)
