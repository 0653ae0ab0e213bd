"""Answers that are JSON already: what PostgreSQL gave, on its way out unparsed."""

from flask import Response


def json_answer(body: bytes | None, status: int = 200) -> Response:
    """Make an answer of a JSON text.

    Args:
        body: The text, in UTF-8.
        status: The HTTP status.

    Returns:
        The answer.
    """
    # No cache on the way knows whose it is; a job, which browsers keep and ask about, says so itself.
    return Response(body, status, {"Cache-Control": "private, no-store"}, content_type="application/json")
