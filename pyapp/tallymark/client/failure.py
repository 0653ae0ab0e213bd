"""Errors of a crawl in the form of the protocol."""

import traceback
from collections.abc import Mapping
from typing import Any

#: The end of a stack is kept: the whole update should stay under 10 KB.
_STACK_CHARACTERS = 4000
_MESSAGE_CHARACTERS = 1000
#: Larger numbers, infinity and NaN are sent as text.
_LARGEST = 1e300


def describe(error: BaseException | str, context: dict[str, Any]) -> dict[str, Any]:
    """Return the member `error` of an update: message, type, stack and context, as far as there are any."""
    said: dict[str, Any] = {"message": str(error)[:_MESSAGE_CHARACTERS]}
    if isinstance(error, BaseException):
        kind = type(error)
        said["type"] = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        said["stack"] = "".join(traceback.format_exception(error))[-_STACK_CHARACTERS:]
    if context:
        said["context"] = _as_json(context)
    return said


def _as_json(value: Any) -> Any:  # noqa: ANN401 - anything a crawler has at hand
    """Return a value as JSON, or as text if it is not JSON: the report of an error must not fail."""
    if isinstance(value, Mapping):
        return {str(name): _as_json(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_as_json(inner) for inner in value]
    if value is None or isinstance(value, (str, bool)) or (isinstance(value, (int, float)) and abs(value) <= _LARGEST):
        return value
    return repr(value)[:_MESSAGE_CHARACTERS]
