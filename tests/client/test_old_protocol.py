"""A client of the old protocol, which sends no update ids and retries blindly, does not count twice either."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.faults.proxy import Cut, Proxy
from tests.web.conftest import TOKEN, Web

if TYPE_CHECKING:
    from tests.client.conftest import Look

SCRIPT = Path(__file__).with_name("old_client.mjs")
UPDATES = 40


@pytest.fixture
def node() -> str:
    """Node.js, of a version that has fetch."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("NOT TESTED: a client of the old protocol: node is not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").partition(".")[0]) < 18:
        pytest.skip(f"NOT TESTED: a client of the old protocol: node is {version}, and fetch came with 18")
    return found


def test_an_old_client_whose_answers_get_lost_counts_nothing_twice(
    node: str, web: Web, name: str, look: "Look", record_property: Callable[[str, Any], None]
) -> None:
    """Each update takes effect, but many answers are lost, so the client repeats the update without any id."""
    web.register(name)
    # The third answer to an update that took effect gets through: four attempts are enough.
    lost = cycle([True, True, False])
    with Proxy(
        web.port,
        is_request=lambda chunk: chunk.startswith(b"POST "),
        is_success=lambda chunk: chunk.startswith(b"HTTP/1.1 200") and next(lost),
        seed=1,
    ) as proxy:
        over = threading.Event()

        def cut() -> None:
            while not over.is_set():
                proxy.cut(Cut.AFTER, 10**6, 0.5)

        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            done = subprocess.run(
                [node, str(SCRIPT), f"http://127.0.0.1:{proxy.port}", TOKEN, name, str(UPDATES)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            over.set()
            cutter.join()
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    record_property("figure", f"{counts}, {proxy.cuts} answers dropped after the commit")
    assert proxy.cuts >= UPDATES
    assert counts["duplicates"] >= UPDATES
    assert look.counts(name) == ({"issues": 2 * UPDATES, "mergeRequests": UPDATES}, 3 * UPDATES)
    job = look(name)
    assert job["status"] == "finished"
    assert job["lastSeq"] == UPDATES + 2, "each update is in the timeline once"
    with psycopg.connect(web.database_url) as db:
        assert db.execute("SELECT tallymark.verify_job(%s)", [name]).fetchone() == (True,)
