"""Everything that a crawler sends is shown as text: in every field, on every page, with everything unfolded."""

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error, Page, expect
from tests.web.dashboard.seeding import ago, job_page, seed

if TYPE_CHECKING:
    from tests.web.dashboard.conftest import Site

_EVIL = {
    "script": '"><script>window.__xss=1</script><img src=//evil.example/x onerror=window.__xss=2>',
    "block": "</script><!--<script><svg/onload='window.__xss=3'>{{7*7}}${7*7}%3Csvg%3E",
    "address": "javascript:window.__xss=4//\" autofocus onfocus=window.__xss=5 '`",
    "turned": "\u202e\u2067<b onmouseover=window.__xss=6>\u05d0\u05d1\u061c txet\u2069 \ufeff\u200b&lt;&#0;",
    "long": "<i>" + "W" * 80,
}


def says(field: str, evil: str) -> str:
    """Return the value of a field: not longer than fields may be, and with the field's name in it."""
    return f"{field} {evil}"[:100]


def updates(evil: str) -> list[dict[str, Any]]:
    """Return updates with the string in every field that takes text."""

    def say(field: str) -> str:
        return says(field, evil)

    credential = {name: say(name) for name in ("message", "providerId", "instanceType", "errorType", "severity")}
    return [
        {"status": "started", "workerId": say("workerId"), "stage": say("firstStage")},
        {
            "stage": say("stage"),
            "currentDataType": say("currentDataType"),
            "operationType": "data_collection",
            "itemsByType": {say("itemType"): 3, say("otherType"): 1},
            "lastProcessedId": say("lastProcessedId"),
            "message": say("statusMessage"),
            "progress": {say("resumeName"): say("resumeValue")},
            "updateId": say("updateId"),
            say("unknownName"): {say("unknownMember"): [say("unknownValue")]},
            "timeline": [{"timestamp": ago(minutes=1), "event": say("own"), "details": {say("ownName"): say("owned")}}],
        },
        {
            "status": "new_areas_discovered",
            "areas": [
                {"type": "group", "fullPath": say("area"), "name": say("areaName"), "webUrl": evil},
                {"type": say("areaType"), "fullPath": say("below"), "parentPath": say("area"), "description": evil},
            ],
        },
        {"status": "credential_expiry", "credentialStatus": {**credential, "adminGuidance": [say("adminGuidance")]}},
        {
            "status": "failed",
            "error": {
                "type": say("errorType"),
                "message": say("errorMessage"),
                "code": say("errorCode"),
                "stack": say("stack"),
                "context": {"where": say("context")},
            },
        },
    ]


#: The fields that each page shows.
_STORY = ("stage", "currentDataType", "itemType", "statusMessage", "errorMessage", "own", "owned", "workerId")
_SEEN = {
    "": (*_STORY, "otherType", "errorType", "providerId"),
    "errors": ("errorType", "errorMessage", "errorCode", "stack", "context"),
    "areas": ("area", "areaName", "areaType", "below"),
    "state": ("lastProcessedId", "resumeName", "resumeValue", "severity", "attribute", "unknownName", "unknownValue"),
}


class Watched:
    """A page on which everything that must not happen is recorded."""

    def __init__(self, site: "Site", page: Page) -> None:
        """Start recording."""
        self.page = page
        self.happened: list[str] = []
        page.on("dialog", lambda dialog: self.happened.append(f"dialog {dialog.message}"))
        page.on(
            "request", lambda asked: None if asked.url.startswith(f"{site.url}/") else self.happened.append(asked.url)
        )
        page.on("popup", lambda popup: self.happened.append(f"popup {popup.url}"))

    def unfold(self) -> None:
        """Unfold everything, and what appears then."""
        for _ in range(6):
            found = self.page.evaluate("""() => {
              const folded = [...document.querySelectorAll(
                "main details:not([open]) > summary, main [aria-expanded=false]")];
              folded.push(...[...document.querySelectorAll("main button:not(:disabled)")].filter(
                (one) => /^(Show|All of it|Check now|Verify)$/.test(one.textContent.trim()) && !one.dataset.clicked));
              for (const one of folded) { one.dataset.clicked = "yes"; one.click(); }
              return folded.length;
            }""")
            self.page.wait_for_load_state("networkidle" if "/job" not in self.page.url else "load")
            if not found:
                break

    def check(self) -> None:
        """Check that nothing was recorded, that no link runs a script, and that no element comes from a crawler."""
        assert self.happened == []
        assert self.page.evaluate("window.__xss") is None
        strange = self.page.evaluate("""() => [
          ...[...document.querySelectorAll("a[href]")].filter((link) => !/^https?:$/.test(link.protocol)),
          ...document.querySelectorAll("#app script, #app iframe, #app img, #app b[onmouseover], #app i, #app [onload],"
            + "#app [onerror], #app [onfocus], #app [autofocus]"),
        ].map((one) => one.outerHTML)""")
        assert strange == []

    def has(self, texts: Iterable[str]) -> None:
        """Wait until all strings are shown, unchanged or as JSON; types of areas are in lower case."""
        missing = """(texts) => {
          const shown = document.getElementById("app").textContent.toLowerCase();
          const has = (text) => shown.includes(text.toLowerCase());
          return texts.filter((text) => !has(text) && !has(JSON.stringify(text).slice(1, -1)));
        }"""
        wanted = list(texts)
        with contextlib.suppress(Error):
            self.page.wait_for_function(f"(texts) => ({missing})(texts).length === 0", arg=wanted, timeout=10_000)
        assert self.page.evaluate(missing, wanted) == []


@pytest.fixture
def seeded(site: "Site") -> "Site":
    """A server with a job for each of the strings, and one that is running."""
    url = site.web.database_url
    for name, evil in _EVIL.items():
        attributes = {says("attribute", evil): {"member": says("attributeValue", evil)}}
        seed(url, job_id(name), updates(evil), attributes)
        seed(url, f"running {job_id(name)}"[:255], updates(evil)[:4], attributes)
        seed(url, f"going {job_id(name)}"[:255], updates(evil)[:3])
    return site


def job_id(name: str) -> str:
    """Return the id of the job with this string in every field."""
    evil = _EVIL[name]
    return f"id {evil}" if name != "long" else (evil * 4)[:255]


def test_no_page_runs_what_a_crawler_sent(seeded: "Site") -> None:
    """The pages about all jobs show it as text."""
    page = seeded.open("/")
    watched = Watched(seeded, page)
    fields = {
        "/": ("stage", "errorMessage", "providerId"),
        "/errors": ("errorType", "errorMessage"),
        "/areas": ("area", "areaName", "areaType"),
        "/history": (),
        "/system": (),
    }
    for path, shown in fields.items():
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if path in {"/", "/system"}:
            watched.has(f"going {job_id(name)}"[:255] for name in _EVIL)
        watched.has(says(field, evil) for evil in _EVIL.values() for field in shown[:2])
        watched.unfold()
        watched.has(says(field, evil) for evil in _EVIL.values() for field in shown)
        watched.check()


def test_the_page_of_a_job_runs_nothing_that_its_crawler_sent(seeded: "Site") -> None:
    """Every tab, and everything that unfolds, shows it as text."""
    page = seeded.open("/history")
    watched = Watched(seeded, page)
    for name, evil in _EVIL.items():
        page.goto(job_page(job_id(name)))
        for tab, fields in _SEEN.items():
            if tab:
                parts = page.get_by_role("navigation", name="Parts of the job")
                parts.get_by_role("link", name=tab.capitalize()).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(job_id(name))
            watched.unfold()
            watched.unfold()
            watched.has(says(field, evil) for field in fields)
            watched.check()
        page.goto(job_page(f"running {job_id(name)}"[:255]))
        watched.has(says(field, evil) for field in ("message", "adminGuidance", "providerId", "severity"))
        page.get_by_role("button", name="Cancel…").click()
        expect(page.get_by_role("dialog")).to_contain_text(f"running {job_id(name)}"[:255])
        watched.check()
