"""Errors of a crawl, as the protocol has them."""

import traceback
from typing import Any

#: Of a stack that is longer, its end is what tells; the whole update should stay under 10 KB.
_STACK_CHARACTERS = 4000
_MESSAGE_CHARACTERS = 1000


def describe(error: BaseException | str, context: dict[str, Any]) -> dict[str, Any]:
    """Return an error as the member `error` of an update.

    Args:
        error: What happened.
        context: What the crawler was at.

    Returns:
        `message`, and where there are such `type`, `stack`, `context`.
    """
    said: dict[str, Any] = {"message": str(error)[:_MESSAGE_CHARACTERS]}
    if isinstance(error, BaseException):
        kind = type(error)
        said["type"] = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        said["stack"] = "".join(traceback.format_exception(error))[-_STACK_CHARACTERS:]
    if context:
        said["context"] = context
    return said
