"""A full disk: the crawl goes on in memory, and `flush` never claims more than is true."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.web.conftest import Web

from tallymark import DeliveryError, Job
from tallymark.client.channel import Channel
from tallymark.client.outbox import Outbox
from tallymark.client.records import Position
from tallymark.client.updates import Update

if TYPE_CHECKING:
    from tests.client.conftest import Look, Make


def fill_the_disk(job: Job) -> None:
    """Make SQLite refuse to let the file grow, as on a full disk."""
    assert job._run.recorder is not None
    fill(job._run.recorder.channel.outbox)


def fill(outbox: Outbox) -> None:
    """Fill the disk for the file of an outbox."""
    database = outbox.file.database
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    assert database.execute(f"PRAGMA max_page_count = {pages}").fetchone()[0] == pages


def test_with_a_server_nothing_is_lost(
    make_client: "Make", name: str, look: "Look", caplog: pytest.LogCaptureFixture
) -> None:
    """Updates in the file, and later ones, count once; the next run has all of them."""
    with make_client().job(name) as job:
        job.advance("issues", 3, last_id="3")
        assert job.flush()
        fill_the_disk(job)
        for number in range(4, 104):
            job.advance("issues", last_id=number, key=str(number))
            job.checkpoint("y" * 500 * number)
            if number % 10 == 0:
                assert job.flush()
        assert job.flush()
        assert look.counts(name) == ({"issues": 103}, 103)
        assert job.seen("50")
    assert "the spool cannot be written" in caplog.text
    assert look.counts(name) == ({"issues": 103}, 103)
    with make_client().job(name) as again:
        assert again.resume.last_processed_id == "103"


def test_without_a_server_a_flush_says_that_nothing_is_safe(
    make_client: "Make", name: str, db_url: str, start_web: Callable[..., Web]
) -> None:
    """Even after flushes that succeeded: in memory the updates' numbers start again."""
    web = start_web(db_url)
    with make_client(web.port, retries=0, end_timeout=0.5).job(name) as job:
        for number in range(20):
            job.advance("issues", last_id=number)
            assert job.flush()
        web.stop()
        fill_the_disk(job)
        job.advance("issues")
        job.checkpoint("y" * 60_000)
        with pytest.raises(DeliveryError):
            job.flush(timeout=1.0)


def test_an_answer_to_what_was_sent_before_settles_that_and_nothing_else(tmp_path: Path) -> None:
    """The disk becomes full during a request; the answer is for updates that were in the file."""

    def one(number: int, state: str = "") -> Update:
        payload = {"status": "processing", "timeline": [], "itemsByType": {"issues": 1}, "progress": state}
        return Update(str(number), payload)

    channel = Channel("j", None, Outbox(tmp_path / "file", limit=100))
    channel.put([one(1), one(2)], Position("j"))
    channel.take(channel.outbox.head(2, 10**6), [{"status": "received"}] * 2)
    channel.put([one(number) for number in range(3, 8)], Position("j"))
    on_its_way = channel.outbox.head(1, 10**6)
    fill(channel.outbox)
    last = channel.put([one(8, "y" * 60_000)], Position("j"))
    assert not channel.outbox.is_durable
    channel.take(on_its_way, [{"status": "received"}])
    assert not channel.wait(last, 0.0, lambda: False), "the server has none of what came later"
    waiting = [row.update_id for row in channel.outbox.head(100, 10**6)]
    assert waiting in (["4", "5", "6", "7", "8"], ["3", "4", "5", "6", "7", "8"]), "3 may be sent again, as a duplicate"
    channel.outbox.close()
