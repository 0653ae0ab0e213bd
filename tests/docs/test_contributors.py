"""ARCHITECTURE.md and CONTRIBUTING.md name files, modules and names that are there."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, read, rows, section, without_blocks

pytestmark = pytest.mark.quick

#: Words of files that a recipe makes, and of what it makes as an example.
_EXAMPLE = re.compile(r"NNN|priority|job_age|throttled|workers")
_FILE = re.compile(r"(?:[\w.-]+/)*[\w.-]+\.(?:sql|py|md|json|tsx?|psql|css)")
#: A constant, or a name that is private to its module.
_NAME = re.compile(r"_?[A-Z][A-Z_]{2,}|_[a-z]\w+|c_\w+")
_SQL = {"COMMENT", "GRANT", "REVOKE", "STABLE", "UPDATE"}
_PACKAGES = (
    "client",
    "scrapy",
    "cli",
    "terminal",
    *(f"web/{part}" for part in ["auth", "db", "http", "live", "pages", "routes", "telemetry"]),
)


def _files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


FILES = _files()


def _meant(name: str) -> list[Path]:
    """Return the files that a page may mean by a path, or by the end of one."""
    return [ROOT / file for file in FILES if f"/{file}".endswith(f"/{name}")]


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_each_file_that_is_named_is_there(page: str) -> None:
    """By its whole path, or by the end of it."""
    named = {name for name in re.findall(r"`([^`\n]+)`", without_blocks(read(page))) if _FILE.fullmatch(name)}
    assert len(named) > 3
    assert sorted(name for name in named if not _EXAMPLE.search(name) and not _meant(name)) == []


def test_each_name_in_a_recipe_is_in_a_file_beside_it() -> None:
    """A constant that has moved to another file is looked for in vain."""
    found, lost = 0, []
    for item in re.split(r"\n(?= *(?:[-*]|\d+\.) )|\n\n", without_blocks(read("CONTRIBUTING.md"))):
        words = re.findall(r"`([^`\n]+)`", item)
        files = [file for word in words if _FILE.fullmatch(word) for file in _meant(word)]
        texts = "\n".join(file.read_text(encoding="utf-8") for file in files)
        for name in {word for word in words if _NAME.fullmatch(word)} - _SQL if files else ():
            found += 1
            if not _EXAMPLE.search(name) and not re.search(rf"\b{name}\b", texts):
                lost.append(f"{name}: {', '.join(str(file.relative_to(ROOT)) for file in files)}")
    assert found > 20
    assert lost == []


@pytest.mark.parametrize("package", _PACKAGES)
def test_each_module_is_in_the_table(package: str) -> None:
    """And no other is."""
    there = {path.stem for path in (ROOT / "pyapp" / "tallymark" / package).glob("*.py")} - {"__init__"}
    table = rows(section(read("ARCHITECTURE.md"), "## Modules"))
    cells = [re.sub(r"\([^)]*\)", "", modules) for name, modules in table if re.match(rf"`{package}`", name)]
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == there
