"""Every link between the documents leads somewhere, the README leads to every document, and none is unfinished."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT, anchors, without_blocks

pytestmark = pytest.mark.quick

_LINK = re.compile(r"(?<!`)\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Return all documents of the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def links(page: Path) -> list[tuple[Path, str]]:
    """Return where the links of a page lead within the repository: the file or directory, and the anchor."""
    found = []
    for target in _LINK.findall(without_blocks(page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = target.partition("#")
            found.append(((page.parent / name).resolve() if name else page, anchor))
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """Links to other sites are not followed."""
    dead = []
    for target, anchor in links(page):
        if not target.exists():
            dead.append(str(target))
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            dead.append(f"{target}#{anchor}")
    assert dead == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_figure_is_left_to_be_filled_in(page: Path) -> None:
    """What stands for one until it was measured looks like @THIS@."""
    assert re.findall(r"@[A-Z]+@", page.read_text(encoding="utf-8")) == []


def test_every_document_and_example_can_be_reached_from_the_readme() -> None:
    """A link to a directory counts for its README.md."""
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        here = ahead.pop()
        if here.is_dir():
            seen.add(here)
            here /= "README.md"
        if here in seen or not here.exists():
            continue
        seen.add(here)
        if here.suffix == ".md":
            ahead += [target for target, _ in links(here)]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    wanted = ["docs/*.md", "docs/adr/*.md", "docs/crawlers/*.md", "docs/examples/**", "docs/ops/**"]
    done = subprocess.run([*command, *wanted], cwd=ROOT, capture_output=True, text=True, check=True)
    files = {ROOT / name for name in done.stdout.splitlines() if (ROOT / name).exists()}
    assert len(files) > len(list(DOCS.glob("*.md")))
    assert sorted(str(file.relative_to(ROOT)) for file in files - seen if file.parent not in seen) == []
