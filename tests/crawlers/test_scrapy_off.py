"""When a spider reports nothing: commands that only try it out, and settings that are missing."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.crawlers.conftest import Crawl, Tallymark
from tests.crawlers.site import Site
from tests.crawlers.spiders import PARSE, SPIDER
from tests.web.conftest import TOKEN

#: On a busy machine each start of Scrapy takes long.
pytestmark = pytest.mark.timeout(600)

StartCrawl = Callable[..., Crawl]

_SPIDER = '''
import scrapy
from scrapy.http import Request

class Production(scrapy.Spider):
    name = "production"

    async def start(self):
        yield Request("SITE")

    def parse(self, response):
        """Take a page.

        @url SITE
        @returns items 1 1
        """
        self.progress.advance("pages", key=response.url)
        yield {"title": response.css("title::text").get()}
'''
_SETTINGS = """
BOT_NAME = "production"
SPIDER_MODULES = ["production.spiders"]
COMMANDS_MODULE = "production.commands"
EXTENSIONS = {"tallymark.scrapy.ProgressExtension": 500}
TALLYMARK_URL = "<address>"
TALLYMARK_TOKEN = "<token>"
TELNETCONSOLE_ENABLED = False
"""
#: A command of the project's own, which crawls.
_COMMAND = """
from scrapy.commands.crawl import Command as Crawl

class Command(Crawl):
    def short_desc(self):
        return "Crawl as every night"
"""


@pytest.fixture
def site() -> Iterator[Site]:
    """A site of one page."""
    with Site(1) as running:
        yield running


@pytest.fixture
def project(tallymark: Tallymark, site: Site, tmp_path: Path) -> Callable[..., str]:
    """Run Scrapy's commands in a project whose settings are those of production; returns the output."""
    package = tmp_path / "project/production"
    for folder in ("spiders", "commands"):
        (package / folder).mkdir(parents=True)
        (package / folder / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package.parent / "scrapy.cfg").write_text("[settings]\ndefault = production.settings\n")
    (package / "settings.py").write_text(_SETTINGS.replace("<address>", tallymark.url).replace("<token>", TOKEN))
    (package / "spiders/production.py").write_text(_SPIDER.replace("SITE", site.start))
    (package / "commands/nightly.py").write_text(_COMMAND)

    def run(*arguments: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "SCRAPY_"))}
        done = subprocess.run(
            [sys.executable, "-m", "scrapy", *arguments],
            cwd=package.parent,
            # `scrapy view` opens a browser.
            env={**clean, "BROWSER": "/bin/true"},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def _job_ids(tallymark: Tallymark) -> list[str]:
    return [job["id"] for job in tallymark.call("GET", "/api/internal/jobs").json["jobs"]]


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        (["parse", "--spider=production", "SITE"], "Page 0"),
        (["shell", "--spider=production", "SITE", "-c", "response.css('title::text').get()"], "Page 0"),
        (["fetch", "--spider=production", "SITE"], "Page 0"),
        (["view", "--spider=production", "SITE"], ""),
        (["check", "production"], "OK"),
    ],
    ids=["parse", "shell", "fetch", "view", "check"],
)
def test_commands_that_try_a_spider_out_touch_no_job(
    tallymark: Tallymark, site: Site, project: Callable[..., str], command: list[str], shows: str
) -> None:
    """No job is registered, and callbacks that use the job work. The log says that nothing is reported, and why."""
    output = project(*(argument.replace("SITE", site.start) for argument in command))
    assert shows in output
    assert "Traceback" not in output
    # `scrapy check` has no log.
    assert f"nothing is reported to Tallymark: `scrapy {command[0]}` is no crawl" in output or command[0] == "check"
    assert site.served["/page/0"] == 1
    assert _job_ids(tallymark) == []


@pytest.mark.parametrize("command", ["crawl", "nightly"])
def test_commands_that_crawl_report(tallymark: Tallymark, project: Callable[..., str], command: str) -> None:
    """Those of Scrapy and those of the project, for the same project."""
    project(command, "production")
    job = tallymark.job("production")
    assert (job["status"], job["progress"]["itemsByType"]["items"]) == ("finished", 1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"TALLYMARK_URL": ""}, "TALLYMARK_URL is not set; set it, or set TALLYMARK_ENABLED to False"),
        ({"TALLYMARK_TOKEN": ""}, "TALLYMARK_URL is set, but TALLYMARK_TOKEN is not: set both"),
        ({"TALLYMARK_URL": "tallymark.example:80"}, "the base URL must be an HTTP address"),
        ({"TALLYMARK_TOKEN": "a\nb"}, "the token must be printable ASCII text"),
    ],
    ids=["no address", "no token", "a wrong address", "a wrong token"],
)
def test_a_spider_without_its_settings_warns_and_crawls(
    tallymark: Tallymark, crawl: StartCrawl, settings: dict[str, str], says: str
) -> None:
    """Also where the log has warnings only. The spider has a job that drops its reports."""
    parse = PARSE.replace("yield Page", 'self.progress.advance("mine"); yield Page')
    given = {"LOG_LEVEL": "WARNING", **settings}
    with Site(3) as site:
        log = crawl(tallymark.url, site.start, spider=SPIDER + parse, **given).wait()
        assert len(site.served) == 3
    assert "Disabled tallymark.scrapy.ProgressExtension: nothing is reported to Tallymark: " in log
    assert says in log
    assert "ERROR" not in log
    assert _job_ids(tallymark) == []


def test_a_spider_that_is_to_report_nothing_warns_of_nothing(tallymark: Tallymark, crawl: StartCrawl) -> None:
    """The log mentions it."""
    with Site(3) as site:
        log = crawl(tallymark.url, site.start, spider=SPIDER + PARSE, TALLYMARK_ENABLED=False).wait()
    assert "nothing is reported to Tallymark: TALLYMARK_ENABLED is false" in log
    assert "WARNING" not in log
    assert _job_ids(tallymark) == []
