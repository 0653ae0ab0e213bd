"""A real browser, Chromium, and the pages of a real server."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

if TYPE_CHECKING:
    from tests.web.conftest import Web

TOKEN = "crawler-token"

#: Long, for busy machines; quick pages are not slowed down.
_PATIENCE_MS = 15_000
expect.set_options(timeout=_PATIENCE_MS)

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    # Root has no sandbox, and a test machine no screen; the other options keep Chromium from calling home.
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def _chromium() -> str:
    """Find the browser, or install it if that is allowed, or skip."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=False)
        found = shutil.which("chromium")
    if found is None:
        pytest.skip("NOT TESTED: the pages, since there is no Chromium; on Debian: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def browser_type_launch_args(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How pytest-playwright starts the browser. Two workers must not install it at the same moment."""
    import fcntl

    with (tmp_path_factory.getbasetemp().parent / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {"executable_path": _chromium(), "args": list(_ARGUMENTS)}


class Site:
    """A server, and browsers at it."""

    def __init__(self, browser: Browser, web: "Web") -> None:
        """Take both."""
        self.browser = browser
        self.web = web
        self.url = f"http://127.0.0.1:{web.port}"
        self.contexts: list[BrowserContext] = []

    def open(self, path: str = "/", *, token: str | None = TOKEN, **options: Any) -> Page:  # noqa: ANN401 - Playwright's
        """Open a page in a browser of its own, signed in.

        Exceptions of the page's scripts and violations of its policy fail the test: see `errors`.

        Args:
            path: The page's path.
            token: The token to sign in with; None does not sign in.
            **options: Options of a browser context, such as `viewport`.

        Returns:
            The page, loaded.
        """
        context = self.browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(_PATIENCE_MS)
        self.contexts.append(context)
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None,
        )
        page.__dict__["errors"] = errors
        page.goto(path)
        if token is not None:
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{self.url}{path}")
        return page

    def check(self) -> None:
        """Check that no page had an unexpected error."""
        for context in self.contexts:
            for page in context.pages:
                assert page.__dict__.get("errors", []) == []

    def close(self) -> None:
        """Close all browsers."""
        for context in self.contexts:
            context.close()


@pytest.fixture
def site(browser: Browser, start_web: Callable[..., "Web"], db_url: str) -> Iterator[Site]:
    """A server on a database of this test's own, and browsers at it."""
    made = Site(browser, start_web(db_url))
    yield made
    made.check()
    made.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script that finds accessibility problems; skips if it is not installed."""
    script = Path(__file__).parents[3] / "pyapp/dashboard/node_modules/axe-core/axe.min.js"
    if not script.is_file():
        pytest.skip("NOT TESTED: accessibility, since axe-core is not installed: make lint installs it")
    return script.read_text(encoding="utf-8")


@pytest.fixture
def shared(browser: Browser, web: "Web") -> Iterator[Site]:
    """Browsers at the server that tests share; each test has jobs of its own."""
    made = Site(browser, web)
    yield made
    made.check()
    made.close()
