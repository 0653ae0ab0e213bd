"""What HTTP asks of a request that brings JSON, before anybody looks into it."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from tallymark.web.http.problems import Problem

#: An answer that is sent while the body still comes in gets lost: the client finds its connection cut. So the body of a
#: refused request is read and thrown away, up to so many times the size that would have been taken.
_DISCARDED_TIMES = 16
_CHUNK_BYTES = 65536
#: More digits than this are no size of anything.
_LENGTH = re.compile(r"[0-9]{1,20}")


def read_json_body(environ: Mapping[str, Any], most_bytes: int) -> bytes:
    """Return the body of a request that an authorised caller sent.

    Args:
        environ: The request, as WSGI has it.
        most_bytes: The largest body that is taken.

    Returns:
        The body as it came. It is not known to be JSON, but has no byte 0.

    Raises:
        Problem: 400, 411, 413 or 415.
    """
    try:
        length = _checked_length(environ, most_bytes)
    except Problem:
        _discard(environ, most_bytes * _DISCARDED_TIMES)
        raise
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    if len(body) < length:
        raise _invalid_body("ended before its Content-Length was reached")
    if b"\0" in body:
        # libpq would take it for the end of the text.
        raise _invalid_body("must be UTF-8, without the byte 0")
    return body


def _checked_length(environ: Mapping[str, Any], most_bytes: int) -> int:
    if "HTTP_TRANSFER_ENCODING" in environ:
        # Its length is not known beforehand, and not every server gives all of it.
        raise Problem(
            HTTPStatus.LENGTH_REQUIRED,
            "Length required",
            explanation="Send the body with Content-Length, not with Transfer-Encoding.",
        )
    given = environ.get("CONTENT_LENGTH") or "0"
    if not _LENGTH.fullmatch(given):
        # Below zero it would mean all that comes, however much that is.
        raise _invalid_body("has a Content-Length that is no number")
    length = int(given)
    if length > most_bytes:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "Request body too large",
            explanation=f"The body has {length} bytes; at most {most_bytes} are taken.",
        )
    if environ.get("CONTENT_TYPE") != "application/json":
        _check_type(environ.get("CONTENT_TYPE") or "")
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise _unsupported("Send the body as it is, without Content-Encoding.")
    return length


def _check_type(content_type: str) -> None:
    media = content_type.partition(";")[0].strip().lower()
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        raise _unsupported("Send the body as application/json.")


def _unsupported(explanation: str) -> Problem:
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Unsupported media type",
        explanation=explanation,
        headers={"Accept": "application/json"},
    )


def _invalid_body(problem: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "Invalid request body", details=[{"field": "", "problem": problem}])


def _discard(environ: Mapping[str, Any], most_bytes: int) -> None:
    if "HTTP_EXPECT" in environ:
        return  # this client waits for our word before it sends anything
    # Not every server ends the stream where the body ends.
    length = environ.get("CONTENT_LENGTH") or ""
    left = min(most_bytes, int(length)) if _LENGTH.fullmatch(length) else most_bytes
    while left > 0:
        chunk = environ["wsgi.input"].read(min(_CHUNK_BYTES, left))
        if not chunk:
            return
        left -= len(chunk)
