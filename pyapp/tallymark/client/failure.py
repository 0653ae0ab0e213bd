"""Errors of a crawl in the form of the protocol, and which of them are interrupts.

An exception is the crawl's own code: its `__str__`, and the `__repr__` of what it was given, may raise. Then the report
says so, because a report of an error must neither fail nor hide the error.
"""

import asyncio
import signal
import traceback
from collections.abc import Mapping
from typing import Any

#: The end of a stack is kept: the whole update should stay under 10 KB.
_STACK_CHARACTERS = 4000
_MESSAGE_CHARACTERS = 1000
#: Larger numbers, infinity and NaN are sent as text.
_LARGEST = 1e300
#: Values inside others are sent as text from this depth on: some contain themselves.
_DEEPEST = 8
#: The exit status of a process that a signal ended is 128 and the signal's number.
_BY_SIGNAL = 128
#: Exceptions with which other libraries cancel what runs; none of them is an `Exception`.
_CANCELLED = frozenset({"Cancelled", "GreenletExit"})


def describe(error: BaseException | str, context: dict[str, Any]) -> dict[str, Any]:
    """Return the member `error` of an update: message, type, stack and context, as far as there are any."""
    said: dict[str, Any] = {"message": text_of(error)[:_MESSAGE_CHARACTERS]}
    if isinstance(error, BaseException):
        said["type"] = _name_of(type(error))
        said["stack"] = _stack_of(error)[-_STACK_CHARACTERS:]
    if context:
        said["context"] = _as_json(context, 0)
    return said


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception means that the crawl was interrupted: it has not failed, and can go on later."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_interrupt(inner) for inner in error.exceptions)
    if isinstance(error, SystemExit):
        return error.code is None or error.code == "" or _exit_status(error) in {0, *_statuses()}
    if isinstance(error, (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)):
        return True
    return not isinstance(error, Exception) and type(error).__name__ in _CANCELLED


def name_of_interrupt(error: BaseException) -> str:
    """Return the name of an interrupt for people: of the signal, where there was one."""
    status = _exit_status(error) if isinstance(error, SystemExit) else None
    return _statuses().get(status, type(error).__name__)


def text_of(value: object) -> str:
    """Return `str(value)`, or what can be said of a value whose `__str__` raises."""
    try:
        # A subclass of `str` becomes plain text.
        return str.__str__(str(value))
    except Exception:  # noqa: BLE001 - whatever somebody else's `__str__` raises
        return f"<{_name_of(type(value))}: its text cannot be made>"


def _exit_status(error: SystemExit) -> int | None:
    return int(error.code) if isinstance(error.code, int) else None


def _statuses() -> dict[int | None, str]:
    """Return the exit statuses that mean an interrupt, with the names of the signals."""
    names = ("SIGHUP", "SIGINT", "SIGTERM")
    return {_BY_SIGNAL + getattr(signal, name): name for name in names if hasattr(signal, name)}


def _name_of(kind: type) -> str:
    try:
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return str.__str__(name)
    except Exception:  # noqa: BLE001 - a metaclass may give them in its own way
        return "an object"


def _stack_of(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - it asks the exception for its text, its notes and its causes
        return "".join(traceback.format_tb(error.__traceback__))


def _as_json(value: Any, depth: int) -> Any:  # noqa: ANN401 - anything a crawler has at hand
    """Return a value as JSON, or as text if it is not JSON: the report of an error must not fail."""
    try:
        if isinstance(value, Mapping) and depth < _DEEPEST:
            return {text_of(name): _as_json(inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEEPEST:
            return [_as_json(inner, depth + 1) for inner in value]
        if (
            value is None
            or isinstance(value, (str, bool))
            or (isinstance(value, (int, float)) and abs(value) <= _LARGEST)
        ):
            return value
        return str.__str__(repr(value))[:_MESSAGE_CHARACTERS]
    except Exception:  # noqa: BLE001 - whatever somebody else's `__repr__` or `__iter__` raises
        return f"<{_name_of(type(value))}: its text cannot be made>"
