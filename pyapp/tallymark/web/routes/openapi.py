"""What can be called, told twice: as an OpenAPI document for programs, and as a page made of it for people.

The document, docs/openapi.json, is kept by hand, and held true by tests that put it to a running server. None of this
needs a token. The page has no script, and nothing in it comes from elsewhere.
"""

import json
import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from flask import Flask, Response, render_template, request

from tallymark.web.routes.openapi_page import EXAMPLE_SERVER, Reference

__all__ = ["add_openapi", "document_file"]

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # To be kept, and asked about each time: another release has another document.
    "Cache-Control": "no-cache",
}
#: Nothing in it means anything to HTML or to a shell.
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")
#: Files that the page needs, beside its template.
_FILES = {"docs.css": "text/css; charset=utf-8", "docs.svg": "image/svg+xml"}


def document_file() -> Path:
    """Find the OpenAPI document.

    Returns:
        `tallymark/docs/openapi.json` inside an installed wheel, else the checkout's `docs/openapi.json`.

    Raises:
        FileNotFoundError: It is in neither place, which means a broken installation.
    """
    package = Path(str(files("tallymark")))
    for root in (package, package.parent.parent):
        if (root / "docs" / "openapi.json").is_file():
            return root / "docs" / "openapi.json"
    raise FileNotFoundError(f"openapi.json is missing: neither in {package / 'docs'} nor beside {package.parent}")


def add_openapi(app: Flask) -> None:
    """Give an application the routes that say what it can do.

    Args:
        app: The application.
    """

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        """Give the document as it is."""
        return _answer(_document(), "application/json")

    @app.get("/docs")
    def get_docs() -> Response:
        """Show the document to people."""
        # The examples call the server that the page came from.
        here = request.host_url.rstrip("/")
        page = _page().replace(EXAMPLE_SERVER.encode(), here.encode()) if _PLAIN_URL.fullmatch(here) else _page()
        return _answer(page, "text/html; charset=utf-8")

    def add_file(name: str, content_type: str) -> None:
        @app.get(f"/{name}", endpoint=f"get_{name.replace('.', '_')}")
        def get_file() -> Response:
            """Give a file that the page needs."""
            return _answer(_file(name), content_type)

    for name, content_type in _FILES.items():
        add_file(name, content_type)


def _answer(body: bytes, content_type: str) -> Response:
    """Answer with what does not change while the process runs, or that the client has it already."""
    answer = Response(body, headers=_HEADERS, content_type=content_type)
    answer.set_etag(sha256(body).hexdigest()[:32])
    answer.make_conditional(request)
    return answer


@cache
def _document() -> bytes:
    return document_file().read_bytes()


@cache
def _page() -> bytes:
    return render_template("docs.html", reference=Reference(json.loads(_document()))).encode()


@cache
def _file(name: str) -> bytes:
    return (Path(__file__).parents[1] / "templates" / name).read_bytes()
