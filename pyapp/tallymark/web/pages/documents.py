"""HTML documents with their security headers, and the scripts and style sheets that they load.

Scripts and style sheets are built from pyapp/dashboard. They contain no data, so they need no token. Their names have
the hash of their content, so browsers may keep them for good, and a new release has new names.
"""

import json
from http import HTTPStatus
from pathlib import Path

from flask import Flask, Response, render_template, request

from tallymark.web.http.answers import Problem

_PAGE_HEADERS = {
    # No inline scripts or styles, and nothing from other sites: text from a crawler cannot become more than text.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # It contains data of the session.
    "Cache-Control": "no-store",
}
_ASSET_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_ASSET_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
_STATIC = Path(__file__).parent.parent / "static"
_NOT_BUILT = "The pages are not built: run `make install` in the checkout, or install the wheel."


def page(template: str, **values: object) -> Response:
    """Answer with a template, which gets the paths of the assets as `assets`."""
    paths = {name: f"/assets/{hashed}" for name, hashed in _manifest().items()}
    html = render_template(template, assets=paths, **values)
    return Response(html, headers=_PAGE_HEADERS, content_type="text/html; charset=utf-8")


def add_assets(app: Flask) -> None:
    """Give an application the route of the assets."""

    @app.get("/assets/<name>")
    def get_asset(name: str) -> Response:
        """Return a script or a style sheet."""
        if name not in _manifest().values():
            raise Problem(HTTPStatus.NOT_FOUND, "Not found")
        file = _STATIC / name
        answer = Response(headers=_ASSET_HEADERS, content_type=_ASSET_TYPES[file.suffix])
        if request.accept_encodings["gzip"] > 0:
            file = file.with_name(f"{name}.gz")
            answer.content_encoding = "gzip"
        answer.set_data(file.read_bytes())
        return answer


def _manifest() -> dict[str, str]:
    """Return the built files, {"app.js": "app-0123456789ab.js"}; read each time, as a checkout is built meanwhile.

    Raises:
        Problem: 503, nothing was built.
    """
    try:
        found: dict[str, str] = json.loads((_STATIC / "manifest.json").read_bytes())
    except FileNotFoundError:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Pages unavailable", explanation=_NOT_BUILT) from None
    return found
