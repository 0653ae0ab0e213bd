"""docs/examples/crawlers: each is killed in the middle and started again. No item is missing, and each counts once."""

import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.docs.crawlers.site import MANY, PATIENCE, Site

if TYPE_CHECKING:
    from tests.client.conftest import Look
    from tests.docs.crawlers.conftest import Example, HasCounted, MakeExample

pytestmark = pytest.mark.slow


def crawl(running: "Example", site: Site, kills: int = 2, after: int | None = None) -> None:
    """Kill an example that often, after so many requests or at any moment, then let it come to its end."""
    chance = random.Random(7)
    for _ in range(kills):
        process = running.start()
        with site.held_after(after or chance.randint(2, 20)):
            running.kill(process)
    running.run()


def test_a_plain_loop(
    example: "MakeExample",
    site: Site,
    urls: Path,
    name: str,
    look: "Look",
    has_counted: "HasCounted",
) -> None:
    """Pages that were being fetched are fetched again, and counted once; what went wrong is reported."""
    running = example("plain_loop.py", str(urls), name)
    crawl(running, site, kills=4)
    assert set(running.stored("url")) == set(site.urls()), running.log
    has_counted({"pages": MANY}, running.log, processed=MANY)
    assert look(name)["progress"]["lastProcessedId"] == site.urls()[-1]
    assert "error" in look.kinds(name)


@pytest.mark.parametrize("file", ["processes.py", "threads.py", "async_crawl.py"])
def test_pages_at_the_same_time(
    file: str,
    example: "MakeExample",
    site: Site,
    urls: Path,
    name: str,
    has_counted: "HasCounted",
) -> None:
    """No page before one that was done is forgotten, and each counts once."""
    running = example(file, str(urls), name)
    # Four processes take seconds to start.
    crawl(running, site, kills=1 if file == "processes.py" else 2)
    assert set(running.stored("url")) == set(site.urls()), running.log
    has_counted({"pages": MANY}, running.log, processed=MANY)


def test_several_machines(
    example: "MakeExample",
    site: Site,
    urls: Path,
    name: str,
    has_counted: "HasCounted",
) -> None:
    """Three machines with spools of their own; one is killed, and never comes back. The others do its part."""
    machines = [example("machines.py", str(urls), name, one, directory=one) for one in ("ares", "bia", "ceto")]
    processes = [machine.start() for machine in machines]
    with site.held_after(30):
        machines[0].kill(processes[0])
    for machine, process in zip(machines[1:], processes[1:], strict=True):
        assert process.wait(PATIENCE) == 0, machine.log
    stored = [url for machine in machines for url in machine.stored("url")]
    assert set(stored) == set(site.urls())
    has_counted({"pages": MANY}, [machine.log for machine in machines])
    # A machine that comes after all of it has nothing to do.
    late = example("machines.py", str(urls), name, "dike", directory="dike")
    late.run()
    assert late.stored("url") == []
    has_counted({"pages": MANY}, late.log)


def test_waiting_for_a_limit(
    example: "MakeExample",
    site: Site,
    urls: Path,
    name: str,
    has_counted: "HasCounted",
) -> None:
    """The job is shown as waiting while it obeys, and every page is fetched in the end."""
    urls.write_text("\n".join(site.urls("limited")), encoding="utf-8")
    running = example("retry_after.py", str(urls), name)
    crawl(running, site, kills=1, after=MANY // 2)
    assert site.limited == MANY // 10
    assert set(running.stored("url")) == set(site.urls("limited")), running.log
    has_counted({"pages": MANY}, running.log, processed=MANY)


@pytest.mark.parametrize("file", ["http_crawl.mjs", "http_crawl.sh", "pipe.sh"])
def test_without_the_python_client(
    file: str,
    example: "MakeExample",
    site: Site,
    urls: Path,
    name: str,
    has_counted: "HasCounted",
) -> None:
    """Each page counts once; a page that cannot be fetched is left out by the shell's, and does not count."""
    program = "node" if file.endswith(".mjs") else "curl"
    if shutil.which(program) is None:
        pytest.skip(f"NOT TESTED: the example {file}, since {program} is not installed")
    # The shell starts programs for each page.
    some = site.urls()[: MANY if program == "node" else MANY // 3]
    urls.write_text("\n".join(some) + "\n", encoding="utf-8")
    running = example(file, str(urls), name)
    crawl(running, site)
    stored = running.output.with_name("pages.html") if file == "pipe.sh" else running.output
    pages = stored.read_text(encoding="utf-8")
    wanted = [url for url in some if file.endswith(".mjs") or not url.endswith("/pages/7")]
    assert [url for url in wanted if f'{url}"' not in pages and f">{urlsplit(url).path}<" not in pages] == []
    has_counted({"pages": len(wanted)}, running.log)


def test_the_projects_of_a_gitlab(example: "MakeExample", site: Site, name: str, has_counted: "HasCounted") -> None:
    """Keyset paging goes on after the last project that is done, so no page is read from its beginning again."""
    running = example("gitlab_projects.py", site.url, name, GITLAB_TOKEN="secret")
    crawl(running, site, kills=1, after=3)
    assert set(running.stored("id")) == set(range(3, 3 * MANY + 1, 3)), running.log
    has_counted({"projects": MANY}, running.log, processed=MANY)


def test_pages_chained_by_links(example: "MakeExample", site: Site, name: str, has_counted: "HasCounted") -> None:
    """The page that a kill interrupted is fetched again, and its issues count once."""
    running = example("link_headers.py", f"{site.url}/issues", name)
    crawl(running, site, after=2)
    assert set(running.stored("id")) == set(range(1, MANY + 1)), running.log
    has_counted({"issues": MANY}, running.log)
