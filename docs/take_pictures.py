"""Takes the pictures of the dashboard for the docs, with a server of its own, a crowd of crawlers and a real browser.

make pictures
"""

import base64
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from playwright.sync_api import Browser, Page, sync_playwright
from psycopg.types.json import Jsonb

from tallymark.server.ports import some_free_port

_TARGET = Path(__file__).parent / "pictures"
_TALLYMARK = (sys.executable, "-c", "from tallymark.cli import main; main()")
_TOKEN = "for-the-pictures"  # noqa: S105 - of a server that lives for a minute
_PAGES = {"errors": "/errors?window=7d", "history": "/history", "areas": "/areas", "system": "/system"}
_DAYS = 30


def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("there is no Chromium; on Debian: apt-get install chromium")
    _TARGET.mkdir(exist_ok=True)
    port = some_free_port("127.0.0.1")
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as directory:
        environ = {**os.environ, "CRAWLER_API_TOKEN": _TOKEN, "TALLYMARK_URL": base, "TALLYMARK_DATA_DIR": directory}
        environ.pop("DATABASE_URL", None)
        with subprocess.Popen([*_TALLYMARK, "up", "--port", str(port)], env=environ, stdout=subprocess.PIPE) as server:
            try:
                _wait_for(server)
                url = subprocess.check_output([*_TALLYMARK, "url"], env=environ, text=True).strip()
                _past_weeks(url)
                crowd = subprocess.Popen([*_TALLYMARK, "simulate", "--jobs", "14", "--seconds", "150"], env=environ)
                time.sleep(75)
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                    for scheme in ("light", "dark"):
                        _take_all(browser, base, scheme)
                    browser.close()
                crowd.terminate()
                crowd.wait()
            finally:
                server.terminate()


def _wait_for(server: subprocess.Popen[bytes]) -> None:
    """Return when a server has said that it runs."""
    assert server.stdout is not None  # noqa: S101 - it is a pipe
    for line in server.stdout:
        if line.startswith(b"Tallymark runs"):
            return
    raise SystemExit("the server ended")


def _past_weeks(url: str) -> None:
    """Have jobs end on each of the last days, as crawlers would have reported them."""
    chance = random.Random(7)  # noqa: S311 - the same pictures each time
    with psycopg.connect(url, autocommit=True) as database:
        for back in range(_DAYS, 0, -1):
            for number in range(chance.randint(4, 14)):
                job_id = f"nightly-{back:02}-{number:02}"
                began = datetime.now(UTC) - timedelta(days=back, minutes=chance.randint(0, 400))
                items = chance.randint(300, 4000)
                failed = chance.randint(1, 12) == 1
                updates: list[dict[str, Any]] = [
                    {"status": "started", "totalItems": items},
                    {"stage": "collecting", "processedItems": items, "itemsByType": {"issues": items}},
                    {"status": "failed", "error": {"type": "TimeoutError", "message": "no answer within 30 s"}}
                    if failed
                    else {"status": "completed"},
                ]
                minutes = chance.randint(4, 60)
                database.execute("SELECT tallymark.create_job(%s)", [job_id])
                for place, update in enumerate(updates):
                    at = began + timedelta(minutes=minutes * place / 2)
                    payload = Jsonb({**update, "timestamp": at.isoformat()})
                    database.execute("SELECT tallymark.merge_progress(%s, %s)", [job_id, payload])


def _take_all(browser: Browser, base: str, scheme: Any) -> None:  # noqa: ANN401 - Playwright's own literals
    """Take the pictures of all pages, light or dark."""
    wide = browser.new_page(base_url=base, color_scheme=scheme, viewport={"width": 1280, "height": 860})
    wide.goto("/sign-in")
    _take(wide, f"sign-in-{scheme}")
    wide.get_by_label("Token").fill(_TOKEN)
    wide.keyboard.press("Enter")
    wide.get_by_text("live", exact=True).wait_for()
    wide.wait_for_timeout(6_000)
    _take(wide, f"overview-{scheme}")
    wide.goto("/?status=running")
    wide.get_by_role("link", name="demo-").last.click()
    wide.set_viewport_size({"width": 1280, "height": 1240})
    wide.get_by_text("live", exact=True).wait_for()
    wide.wait_for_timeout(6_000)
    _take(wide, f"job-{scheme}")
    wide.set_viewport_size({"width": 1280, "height": 860})
    for name, path in _PAGES.items():
        wide.goto(path)
        wide.wait_for_timeout(2_500)
        _take(wide, f"{name}-{scheme}")
    phone = browser.new_page(
        base_url=base,
        color_scheme=scheme,
        viewport={"width": 390, "height": 780},
        storage_state=wide.context.storage_state(),
    )
    phone.goto("/")
    phone.wait_for_timeout(4_000)
    _take(phone, f"phone-{scheme}")


def _take(page: Page, name: str) -> None:
    """Keep what a page shows, in the format that takes least room."""
    session = page.context.new_cdp_session(page)
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": 85})
    (_TARGET / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main()
