"""What the documents, the description of the API and the pages' scripts say where something is: it is there."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tallymark import addresses

if TYPE_CHECKING:
    from tests.web.conftest import Web

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "sql/**/*.md", "benchmarks/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
_SCRIPTS = ROOT / "pyapp" / "dashboard" / "src"
_LINK = re.compile(r"\]\(([^)\s]+)\)|<(?:img|source|a)\b[^>]*?(?:src|srcset|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*#*$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: A path of ours, as the documents write it, or the path of a URL of the server in the examples.
#: Port 9000 is that of the site that an example crawls.
_PATH = re.compile(
    r"`(?:(?:GET|POST) )?(/(?:api|docs|events|healthz|readyz|metrics|openapi|job|sign)[^`\s]*)`"
    r"|https?://(?:127\.0\.0\.1|localhost):(?!9000/)\d+(/[^\s\"'`)\\]*)"
)


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
        words = html.unescape(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading))
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = 0
        while (unique := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(unique)
    return found


def links(path: Path) -> Iterator[str]:
    """Yield the links of a page that lead into the repository."""
    text = re.sub(r"`[^`\n]*`", "", _CODE.sub("", path.read_text(encoding="utf-8")))
    for groups in _LINK.findall(text):
        target = "".join(groups)
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(path: Path) -> None:
    """The file is there, and in it the heading."""
    for target in links(path):
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(file), target


def paths_in_texts() -> set[str]:
    """Return the paths of ours that documents and examples name."""
    files = [*DOCUMENTS, *(ROOT / "docs" / "ops").iterdir(), *(ROOT / "docs" / "examples").rglob("*.*")]
    # What an old version did, and which addresses it had.
    files = [
        file
        for file in files
        if file.is_file() and file.suffix != ".pyc" and file.name != "CHANGELOG.md" and "adr" not in file.parts
    ]
    found = {
        "".join(groups).rstrip(".,;/") for file in files for groups in _PATH.findall(file.read_text(encoding="utf-8"))
    }
    return found - {""}


def status_of(client: httpx.Client, path: str) -> int:
    """Ask for a path; the answer may be a stream that does not end."""
    with client.stream("GET", path) as answer:
        return answer.status_code


def test_every_path_in_the_documents_is_served(web: "Web", job: str) -> None:
    """200, the way to sign in, a parameter that is missing, or that it takes another method."""
    found = paths_in_texts()
    assert {"/readyz", "/metrics", "/api/internal/jobs"} <= found
    headers = {"Authorization": "Bearer crawler-token"}
    with httpx.Client(base_url=f"http://127.0.0.1:{web.port}", headers=headers, timeout=30) as client:
        for path in sorted(found):
            real = re.sub(r"<id>|\{job\}|\bJOB\b|\bjob_1\b", job, path).replace("...", "")
            is_read = status_of(client, real) in {200, 303, 400, 405}
            assert is_read or client.post(real, json="none").status_code == 400, path


def test_every_path_of_the_api_description_is_served_below_its_servers(web: "Web", job: str) -> None:
    """As a client puts them together: the address of the document, its server, the path."""
    headers = {"Authorization": "Bearer crawler-token"}
    address = httpx.URL(f"http://127.0.0.1:{web.port}/openapi.json")
    with httpx.Client(headers=headers, timeout=30) as client:
        document: dict[str, Any] = client.get(address).json()
        named = [node["url"] for node in _members(document, "externalDocs")]
        assert [url for url in named if not url.startswith("https://")] == []
        for server in document["servers"]:
            base = str(address.join(server["url"])).rstrip("/")
            for path, methods in document["paths"].items():
                real = base + re.sub(r"\{\w+\}", job, path)
                if "get" in methods:
                    assert status_of(client, real) in {200, 400}, path
                if "post" in methods:
                    assert client.post(real, json="none").status_code == 400, path


def _members(node: object, name: str) -> Iterator[Any]:
    """Yield the members of this name, at any depth."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == name)
        for value in node.values():
            yield from _members(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _members(value, name)


def test_the_pages_scripts_have_the_addresses_that_the_server_serves() -> None:
    """The list of pages, the links of the navigation, and the address of a job."""
    main = (_SCRIPTS / "main.tsx").read_text(encoding="utf-8")
    [pages] = re.findall(r"const PAGES[^{]*\{(.*?)\n\}", main, re.DOTALL)
    assert tuple(re.findall(r'"(/\w*)":', pages)) == addresses.PAGES
    layout = (_SCRIPTS / "parts" / "layout.tsx").read_text(encoding="utf-8")
    [shown] = re.findall(r"const LINKS[^=]*= \[(.*?)\n\]", layout, re.DOTALL)
    assert set(re.findall(r'"(/\w*)"', shown)) <= set(addresses.PAGES)
    router = (_SCRIPTS / "lib" / "router.ts").read_text(encoding="utf-8")
    assert "`/job?id=${encodeURIComponent(id)}`" in router
    assert addresses.job_page("a/b &ü") == "/job?id=a%2Fb%20%26%C3%BC"
