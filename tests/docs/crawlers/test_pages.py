"""docs/crawlers.md and docs/crawlers: programs are those that are tested, other blocks run, commands exist."""

import ast
import asyncio
import re
import runpy
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import CO_COROUTINE
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import pytest
from tests.client.conftest import Make, make_client
from tests.docs.pages import DOCS, fenced, read
from tests.web.conftest import TOKEN, Web

from tallymark import ProgressClient
from tallymark.cli import cli

if TYPE_CHECKING:
    from tests.client.conftest import Look

__all__ = ["make_client"]

PAGES = ["docs/crawlers.md", *(f"docs/crawlers/{path.name}" for path in sorted((DOCS / "crawlers").glob("*.md")))]
PROGRAMS = [path.read_text(encoding="utf-8").rstrip("\n") for path in (DOCS / "examples" / "crawlers").iterdir()]


def blocks(language: str) -> Iterator[Any]:
    """Yield the blocks of a language that are no whole programs, and where they are."""
    for page in PAGES:
        for number, block in enumerate(fenced(read(page), language), start=1):
            # Those about Scrapy are settings and parts of a spider; tests/crawlers runs spiders.
            if block not in PROGRAMS and not (language == "python" and page.endswith("/scrapy.md")):
                yield pytest.param(block, id=f"{page.removeprefix('docs/')}-{number}")


@pytest.mark.quick
def test_the_pages_show_the_programs_as_they_are() -> None:
    """After a change of a program, `make docs` writes it into its page. No program is without a page."""
    with_programs = runpy.run_path(str(DOCS / "write_programs.py"))["with_programs"]
    assert [page for page in PAGES if with_programs(read(page)) != read(page)] == []
    shown = [block for page in PAGES for language in ("python", "sh", "js") for block in fenced(read(page), language)]
    assert [program.splitlines()[0] for program in PROGRAMS if program not in shown] == []


@pytest.mark.quick
def test_the_reference_is_what_the_docstrings_say() -> None:
    """After a change of a docstring, `make docs` writes the page."""
    assert runpy.run_path(str(DOCS / "write_python_api.py"))["page"]() == read("docs/python-api.md")


def test_the_blocks_of_python_run(
    make_client: Make, web: Web, name: str, look: "Look", subtests: pytest.Subtests
) -> None:
    """Each on a job of its own, with functions that stand for the reader's own."""
    given: dict[str, Any] = {
        "ProgressClient": ProgressClient,
        "fetch": lambda url: SimpleNamespace(url=url),
        "pages_of": lambda number: [f"page {number}.{page}" for page in range(3)],
        "messages": _messages,
        "pause": 0.01,
        "time": time,
        "url": f"http://127.0.0.1:{web.port}",
        "token": TOKEN,
        "urls": ["a", "b", "c"],
    }
    client = make_client()
    for number, parameter in enumerate(blocks("python")):
        [block] = parameter.values
        if "import os" in block:
            continue  # that of the first five minutes, which are tested by themselves
        with subtests.test(parameter.id), ThreadPoolExecutor(2) as pool:
            job_id = f"{name}_{number}"
            is_async = "await " in block
            with client.job(job_id) as job:
                own = {**given, "job": job, "pool": pool, "store": _store_later if is_async else _store}
                _run(block.replace('"my_crawl"', repr(f"{job_id}_own")), own)
                if "work" in own:
                    own["work"](1)
            if "job.resume" in block:
                before = look.counts(f"{job_id}_own")
                _run(block.replace('"my_crawl"', repr(f"{job_id}_own")), own | given)
                assert look.counts(f"{job_id}_own") == before
            if "job.waiting" in block:
                statuses = [event["details"].get("status") for event in look(job_id)["progress"]["timeline"]]
                assert "waiting" in statuses
                continue
            counted = look.counts(job_id)[0] or look.counts(f"{job_id}_own")[0]
            assert sum(counted.values()) > 0


def _run(block: str, names: dict[str, Any]) -> None:
    code = compile(block, "<block>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & CO_COROUTINE:
        asyncio.run(FunctionType(code, names)())
    else:
        exec(code, names)  # noqa: S102 - from our own documents


def _store(_found: object) -> None:
    """Stand for the function that stores an item."""


async def _store_later(_found: object) -> None:
    """Stand for the coroutine that stores an item."""


async def _messages() -> AsyncIterator[SimpleNamespace]:
    for number in range(3):
        yield SimpleNamespace(id=number)


@pytest.mark.quick
@pytest.mark.parametrize("block", list(blocks("sh")))
def test_the_blocks_of_shell_are_correct(block: str) -> None:
    """The shell can read them, and each command and each option of `tallymark` in them exists."""
    command = ["bash", "-n", "-c", block]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        # Down to the end of the command, or to a program that it is to start.
        for call in re.findall(r"(?:^|[\s(|])tallymark ([a-z][^|#&;)]*?)(?= -- |[|#&;)]|$)", line):
            _is_called_rightly(call.split())


def _is_called_rightly(words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, words
        command = found
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options
