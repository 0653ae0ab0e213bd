"""Cuts the report of an error to what the protocol takes, so that the most telling parts of it stay."""

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from tallymark.client.updates import clean

#: The protocol takes 8 KB. The whole update should stay under 10 KB.
_MOST_BYTES = 8000
_MESSAGE_BYTES = 1500
_STACK_BYTES = 3000
_SHORT_BYTES = 200
_VALUE_BYTES = 1000
_MOST_MEMBERS = 100


def fit_error(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error that fits: message and stack cut, and as many of the other members as there is room for.

    `error`: any JSON with text as names. The members that were left out are named in `leftOut`.
    """
    kept: dict[str, Any] = clean(error)
    if _size(kept) <= _MOST_BYTES:
        return kept
    fit: dict[str, Any] = {}
    for name, most in (("type", _SHORT_BYTES), ("code", _SHORT_BYTES), ("message", _MESSAGE_BYTES)):
        if name in kept:
            fit[name] = _short(kept[name], most)
    if "stack" in kept:
        # The end of a stack tells where it happened.
        fit["stack"] = _short(kept["stack"], _STACK_BYTES, end=True)
    left_out: list[str] = []
    _add_context(fit, kept.get("context"), left_out)
    for name, value in islice(kept.items(), _MOST_MEMBERS):
        if name not in fit and name != "context":
            _add(fit, name, value, lambda: _size(fit), left_out)
    if left_out:
        fit["leftOut"] = _short(", ".join(left_out), _SHORT_BYTES)
    return fit


def _add_context(fit: dict[str, Any], context: object, left_out: list[str]) -> None:
    if isinstance(context, Mapping):
        inner: dict[str, Any] = {}
        fit["context"] = inner
        # Each may be large, so not all of them are looked at.
        for name, value in islice(context.items(), _MOST_MEMBERS):
            _add(inner, name, value, lambda: _size(fit), left_out)
        if len(context) > _MOST_MEMBERS:
            left_out.insert(0, f"{len(context) - _MOST_MEMBERS} members of the context")
    elif context is not None:
        _add(fit, "context", context, lambda: _size(fit), left_out)


def _add(into: dict[str, Any], name: object, value: object, size: Any, left_out: list[str]) -> None:  # noqa: ANN401
    """Add a member, shortened, or note that there was no room for it."""
    shown = str(name)[:100]
    room = _MOST_BYTES - _SHORT_BYTES * 2 - size() - len(shown.encode()) - 10
    if room < _SHORT_BYTES // 2:
        left_out.append(shown)
    else:
        into[shown] = _short(value, min(_VALUE_BYTES, room))


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def _short(value: Any, most: int, *, end: bool = False) -> Any:  # noqa: ANN401 - any JSON
    """Return a value itself, or text of at most this many bytes as JSON."""
    if not isinstance(value, str) and _size(value) <= most:
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # A character takes at least one byte, so this cut is cheap and never too short.
    text = text[-most:] if end else text[:most]
    while _size(text) > most:
        over = max((_size(text) - most) // 6, 1)
        text = text[over:] if end else text[:-over]
    return text
