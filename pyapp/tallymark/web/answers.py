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
    return Response(body, status, content_type="application/json")
