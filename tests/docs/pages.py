"""What tests of documents share: the pages, their headings, and the fenced blocks in them."""

import html
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    """Return the text of a page, by its path from the root of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """Return what stands under a heading, down to the next one of the same rank or a higher one."""
    rank = len(heading) - len(heading.lstrip("#"))
    _, found, rest = f"\n{page}".partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading}"
    return re.split(rf"^#{{1,{rank}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def fenced(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, in their order, without the indentation of the fence."""
    blocks = re.findall(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", page, re.MULTILINE)
    return [
        "\n".join(line.removeprefix(indent) for line in block.splitlines())
        for indent, of, block in blocks
        if of == language
    ]


def without_blocks(page: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of all tables, without headings."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {
        number - 1 for number, cells in enumerate(found) if all(set(cell) <= set("-: ") and cell for cell in cells)
    }
    return [cells for number, cells in enumerate(found) if number not in heads and number - 1 not in heads]


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", without_blocks(page), re.MULTILINE):
        text = html.unescape(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        slug = "".join(letter for letter in text if letter.isalnum() or letter in "-_ ").replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found
