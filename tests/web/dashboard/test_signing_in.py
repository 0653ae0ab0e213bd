"""Signing in and out, as people do."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
from playwright.sync_api import expect
from tests.web.conftest import Web
from tests.web.watching import wait_until

from tallymark.functions.tokens import create_token, revoke_token

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from tests.web.dashboard.conftest import Site


def test_a_wrong_token_is_told_so_and_a_right_one_opens_the_page_that_was_asked_for(site: "Site") -> None:
    """Signing out closes everything again."""
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


def test_whose_token_is_revoked_while_they_look_is_sent_to_sign_in_and_back(
    browser: "Browser", start_web: Callable[..., Web], db: psycopg.Connection[Any], db_url: str
) -> None:
    """At the page's next request; signing in leads back to the page."""
    from tests.web.dashboard.conftest import Site

    web = start_web(db_url, TALLYMARK_TOKEN_CACHE_SECONDS="0.2")
    site = Site(browser, web)
    token = create_token(db, "operator", ["read"])
    page = site.open("/history", token=token)
    expect(page.get_by_text("No job ended")).to_be_visible()
    revoke_token(db, "operator")
    wait_until(lambda: web.call("GET", "/api/internal/jobs", token=token).status == 401)
    page.get_by_role("button", name="90 days").click()
    expect(page).to_have_url(f"{site.url}/sign-in?next=%2Fhistory%3Fdays%3D90")
    page.get_by_label("Token").fill("crawler-token")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}/history?days=90")
    site.check()
    site.close()
