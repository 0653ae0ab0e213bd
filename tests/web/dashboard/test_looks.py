"""How the pages look: in dark mode, on a phone, in other time zones."""

import re
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect
from tests.web.dashboard.pages import PATHS, fill
from tests.web.dashboard.seeding import job_page, new_id, seed

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site

_BRIGHTNESS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
  canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).reduce((sum, part) => sum + part) / 765;
}"""


def expect_dark(page: Page, *, is_dark: bool) -> None:
    """Wait until a page is dark, or light."""
    page.wait_for_function(f"(dark) => (({_BRIGHTNESS})() < 0.3) === dark", arg=is_dark)


def settled(page: Page) -> None:
    """Wait until a page has drawn what it read."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_function("() => !/Reading|Folding/.test(document.querySelector('main').innerText)")


def test_a_page_is_dark_where_the_system_is_or_where_the_viewer_wants_it(shared: "Site") -> None:
    """The viewer's choice overrides the system's, and is kept."""
    dark = shared.open("/history", color_scheme="dark")
    expect_dark(dark, is_dark=True)
    dark.get_by_role("button", name="Light colours").click()
    expect_dark(dark, is_dark=False)
    light = shared.open("/history", color_scheme="light")
    expect_dark(light, is_dark=False)
    light.get_by_role("button", name="Dark colours").click()
    expect_dark(light, is_dark=True)
    for page, is_dark in ((light, True), (dark, False)):
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect_dark(page, is_dark=is_dark)
        page.goto("/")
        expect_dark(page, is_dark=is_dark)
    # The system changes; the viewer has chosen nothing.
    fresh = shared.open("/history", color_scheme="light")
    expect_dark(fresh, is_dark=False)
    fresh.emulate_media(color_scheme="dark")
    expect_dark(fresh, is_dark=True)


def test_no_page_is_wider_than_a_phone(site: "Site") -> None:
    """Even with ids, types and messages of the greatest length."""
    fill(site.web.database_url)
    page = site.open("/", viewport={"width": 390, "height": 844}, has_touch=True)
    wide = {}
    for name, path in PATHS.items():
        page.goto(path)
        settled(page)
        found = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if found[0] > 390 or found[1] != 390:
            wide[name] = found
    assert wide == {}


def test_times_are_those_of_the_viewer_and_exact_ones_are_told_on_hover(shared: "Site") -> None:
    """Tokyo is nine hours ahead of UTC all year."""
    job_id = new_id()
    at = "2025-01-06T19:15:30.123Z"
    seed(shared.web.database_url, job_id, [{"timestamp": at, "status": "started"}, {"timestamp": at, "stage": "x"}])
    page = shared.open(job_page(job_id), timezone_id="Asia/Tokyo", locale="en-GB")
    started = page.locator("dd").filter(has_text=re.compile("ago")).first.locator("time")
    expect(started.nth(1)).to_have_text("7 Jan 2025, 04:15:30")
    for number in (0, 1):
        expect(started.nth(number)).to_have_attribute("title", "2025-01-06 19:15:30.123 UTC")
    told = page.locator(".events time").first
    expect(told).to_have_text("7 Jan 2025, 04:15:30")
    expect(told).to_have_attribute("title", re.compile("19:15:30.123.*UTC"))
    utc = shared.open(job_page(job_id), timezone_id="UTC", locale="en-GB")
    expect(utc.locator(".events time").first).to_have_text("6 Jan 2025, 19:15:30")


def test_nothing_moves_for_those_who_do_not_want_it(shared: "Site") -> None:
    """No animation runs or starts."""
    job_id = new_id()
    seed(shared.web.database_url, job_id, [{"processedItems": 1, "totalItems": 4}])
    for motion in ("no-preference", "reduce"):
        page = shared.open(job_page(job_id), reduced_motion=motion)
        expect(page.locator(".live-badge")).to_have_text("live")
        page.wait_for_function(
            "(some) => (document.getAnimations().filter((one) => one.playState === 'running').length > 0) === some",
            arg=motion != "reduce",
        )


def test_a_job_is_found_without_a_mouse(shared: "Site") -> None:
    """From the top of the page, with the link that skips the navigation, to a job's page."""
    job_id = new_id("keys")
    seed(shared.web.database_url, job_id, [{"processedItems": 1}])
    page = shared.open(f"/?q={job_id}")
    page.reload()
    expect(page.locator(f"[data-job='{job_id}']")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    target = page.get_by_role("link", name=job_id)
    for _ in range(60):
        page.keyboard.press("Tab")
        outline = page.evaluate("""() => {
          const style = getComputedStyle(document.activeElement);
          return style.outlineStyle !== "none" || style.boxShadow !== "none";
        }""")
        assert outline, page.evaluate("document.activeElement.outerHTML")
        if target.evaluate("(link) => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(job_id)
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("button", name="Cancel…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it running")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Cancel…")).to_be_focused()


def test_no_page_keeps_people_out(site: "Site", axe: str) -> None:
    """Axe-core finds nothing serious on any page, light or dark, with or without content."""
    page = site.open("/", bypass_csp=True, reduced_motion="reduce")
    found = {}

    def look(name: str, path: str) -> None:
        page.emulate_media(color_scheme="light")
        page.goto(path)
        settled(page)
        page.evaluate(axe)
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours)
            # Only the colours are different.
            rules = ", runOnly: ['color-contrast']" if colours == "dark" else ""
            result = page.evaluate(f"() => axe.run(document, {{ resultTypes: ['violations']{rules} }})")
            bad = [
                (one["id"], one["nodes"][0]["html"][:200], len(one["nodes"]))
                for one in result["violations"]
                if one["impact"] in {"serious", "critical"}
            ]
            if bad:
                found[f"{name}, {colours}"] = bad

    for name in ("overview", "errors", "areas"):
        look(f"empty {name}", PATHS[name])
    fill(site.web.database_url)
    for name, path in PATHS.items():
        look(name, path)
    assert found == {}
