"""The way in and out, as people go it."""

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site


def test_a_wrong_token_is_told_so_and_a_right_one_opens_the_page_that_was_asked_for(site: "Site") -> None:
    """And signing out closes all of it again."""
    page = site.open("/errors", token=None)
    expect(page).to_have_url(f"{site.url}/sign-in?next=%2Ferrors")
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no such token")
    page.get_by_label("Token").fill("crawler-token")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}/errors")
    expect(page.get_by_role("heading", name="Errors", level=1)).to_be_visible()
    page.get_by_role("button", name=re.compile("sign out", re.IGNORECASE)).click()
    expect(page).to_have_url(f"{site.url}/sign-in")
    page.goto("/errors")
    expect(page).to_have_url(f"{site.url}/sign-in?next=%2Ferrors")
