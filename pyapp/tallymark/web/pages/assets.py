"""The scripts and style sheets that pyapp/dashboard was built into. Nobody's data is in them, so they need no token.

Their names have the hash of their content, so that browsers keep them for good and a new release has new ones.
"""

import json
from http import HTTPStatus
from pathlib import Path

from flask import Flask, Response, request

from tallymark.web.http.problems import Problem

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
_NOT_BUILT = "The pages are not built: run `make install` in the checkout, or install the wheel."


class Assets:
    """What was built, in a directory."""

    def __init__(self, directory: Path) -> None:
        """Say where.

        Args:
            directory: It has `manifest.json`, {"name": "name with its hash"}, and beside each of these files a copy of
                it in gzip's format. It is read anew each time, since in a checkout it changes while the server runs.
        """
        self._directory = directory

    def addresses(self) -> dict[str, str]:
        """Give the paths of the files.

        Returns:
            The path for each name, such as {"app.js": "/assets/app-0123456789ab.js"}.

        Raises:
            Problem: 503, nothing was built.
        """
        return {name: f"/assets/{hashed}" for name, hashed in self._manifest().items()}

    def answer(self, name: str) -> Response:
        """Give a file.

        Args:
            name: Its name, with the hash.

        Returns:
            The answer.

        Raises:
            Problem: 404, there is none of that name; 503, nothing was built.
        """
        if name not in self._manifest().values():
            raise Problem(HTTPStatus.NOT_FOUND, "Not found")
        file = self._directory / name
        answer = Response(headers=_HEADERS, content_type=_TYPES[file.suffix])
        if request.accept_encodings["gzip"] > 0:
            file = file.with_name(f"{name}.gz")
            answer.content_encoding = "gzip"
        answer.set_data(file.read_bytes())
        return answer

    def _manifest(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self._directory / "manifest.json").read_bytes())
        except FileNotFoundError:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Pages unavailable", explanation=_NOT_BUILT) from None
        return found


def add_assets(app: Flask, assets: Assets) -> None:
    """Give an application the route of these files.

    Args:
        app: The application.
        assets: The files.
    """

    @app.get("/assets/<name>")
    def get_asset(name: str) -> Response:
        """Give a script or a style sheet."""
        return assets.answer(name)
