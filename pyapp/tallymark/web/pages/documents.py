"""Answers that are pages: the headers that keep a browser from doing what no page of ours asks for."""

from http import HTTPStatus

from flask import Response, render_template

_HEADERS = {
    # No inline scripts or styles, and nothing of elsewhere: what a crawler sent cannot become more than text.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # It has the session's own in it.
    "Cache-Control": "no-store",
}


def page(template: str, status: HTTPStatus = HTTPStatus.OK, **values: object) -> Response:
    """Make a page.

    Args:
        template: The name of its template.
        status: The HTTP status.
        **values: What the template asks for.

    Returns:
        The answer.
    """
    return Response(render_template(template, **values), status, _HEADERS, content_type="text/html; charset=utf-8")
