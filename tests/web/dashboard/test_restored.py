"""A page that is open while a backup is restored shows what there is then."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect
from tests.web.backups import Backup
from tests.web.dashboard.seeding import job_page, seed
from tests.web.watching import wait_until

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site


def shown(page: Page) -> list[int]:
    """Return the numbers of the errors in the timeline of a job's page, the newest first."""
    return [
        int(found) for found in re.findall(r"broken-(\d+)", " ".join(page.locator(".events > li").all_inner_texts()))
    ]


def report(url: str, *numbers: int, kind: str) -> None:
    """Report an update with an error for each number."""
    seed(url, "job", [{"error": f"broken-{number}", "itemsByType": {kind: 1}} for number in numbers])


def test_an_open_page_shows_the_ledger_that_was_restored(site: "Site", db_url: str, tmp_path: Path) -> None:
    """Events that are no more go, and those that have their numbers come, without a reload."""
    report(db_url, 1, 2, kind="issues")
    backup = Backup(db_url, tmp_path / "backup")
    report(db_url, 3, 4, kind="issues")
    page = site.open(job_page("job"))
    wait_until(lambda: shown(page) == [4, 3, 2, 1])
    page.evaluate("window.__marker = 'never loaded again'")
    backup.restore()
    report(db_url, 5, 6, kind="pages")
    wait_until(lambda: shown(page) == [6, 5, 2, 1])
    expect(page.get_by_text("pages").first).to_be_visible()
    report(db_url, 7, kind="pages")
    wait_until(lambda: shown(page) == [7, 6, 5, 2, 1])
    assert page.evaluate("window.__marker") == "never loaded again"
