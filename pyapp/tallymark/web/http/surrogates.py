"""Bodies with half a surrogate pair: JavaScript makes them where it cuts a text in the middle of an emoji.

They are not text, so PostgreSQL refuses them, and a crawler that was not written for that cannot mend them. U+FFFD
takes the place of each half, so that the counts beside it are taken. Each delivery gives the same text, hence the same
key.

What tells things apart is not mended, since two different ones could become the same: names of members, and the members
named in `_IDENTITIES`. A body with half a pair there is refused, and the answer says where.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tallymark.functions.errors import InvalidUpdate

WARNING = "half a surrogate pair was replaced by U+FFFD: the text was cut in the middle of a character"

_PROBLEM = "has half a surrogate pair (such as \\ud83d) in a name or an id: send whole characters"
#: How many such fields an answer names.
_MAX_NAMED = 20
#: PostgreSQL's refusals of such a body: of the escape, and of the bytes.
_NOT_JSON = {"22P02", "22021"}
_IDENTITIES = frozenset({"taskId", "updateId", "workerId", "itemKeys", "fullPath", "parentPath"})
#: Escapes of JSON: a whole pair; half of one; any other, so that the second backslash of \\ begins none. And the bytes
#: that some encoders make of half a pair, which are not UTF-8.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
    rb"|(\xed[\xa0-\xbf][\x80-\xbf])",
    re.DOTALL,
)
_HALF = re.compile("[\ud800-\udfff]")
#: Marks a number while an answer is taken apart, so that it is written again as it was. No answer can contain it.
_NUMBER = "\0"
_MARKED_NUMBER = re.compile(r'"\\u0000([^"]*)"')


def mended(body: bytes, sqlstate: str | None) -> bytes | None:
    """Return a body that was refused, with U+FFFD in place of each half of a pair; None if that was not the cause.

    Raises:
        InvalidUpdate: Half a pair is in what tells things apart.
    """
    changed = _ESCAPE.sub(_mend, body) if sqlstate in _NOT_JSON else body
    if changed == body:
        return None
    try:
        fields = list(dict.fromkeys(_cut_names(json.loads(body), "")))
    except (ValueError, RecursionError):
        return None
    if fields:
        details = [{"field": field, "problem": _PROBLEM} for field in fields[:_MAX_NAMED]]
        raise InvalidUpdate("Invalid request body", sqlstate=sqlstate, details=details)
    return changed


def with_warning(answer: bytes, body: bytes) -> bytes:
    """Return the answer to a mended body, with a warning for each update that was mended; `body` is as it came."""
    try:
        content = json.loads(body)
        result = json.loads(answer, parse_int=_kept, parse_float=_kept)
        pairs = zip(content, result, strict=True) if isinstance(content, list) else [(content, result)]
        for update, outcome in pairs:
            if "warnings" in outcome and _has_half(update):
                outcome["warnings"].append(WARNING)
    except (ValueError, TypeError, RecursionError):
        return answer  # it is right, but for the warning
    return _MARKED_NUMBER.sub(r"\1", json.dumps(result, ensure_ascii=False)).encode()


def _mend(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return b"\\ufffd"
    return b"\xef\xbf\xbd" if found[2] else found[0]


def _kept(number: str) -> str:
    return _NUMBER + number


def _has_half(content: Any) -> bool:  # noqa: ANN401 - any JSON
    """Return whether half a pair is anywhere in a JSON value, names included."""
    if isinstance(content, dict):
        return any(_has_half(name) or _has_half(value) for name, value in content.items())
    if isinstance(content, list):
        return any(map(_has_half, content))
    return isinstance(content, str) and _HALF.search(content) is not None


def _cut_names(content: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield where half a pair is in what tells things apart: the field that has it, or the one with such a member."""
    if isinstance(content, list):
        for number, value in enumerate(content):
            yield from _cut_names(value, f"{place}[{number}]")
    elif isinstance(content, dict):
        for name, value in content.items():
            inner = f"{place}.{name}" if place else name
            if _has_half(name):
                yield place
            elif name in _IDENTITIES:
                yield from _cut_texts(value, inner)
            else:
                yield from _cut_names(value, inner)


def _cut_texts(content: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield where half a pair is in a value all of which tells things apart."""
    if isinstance(content, list):
        for number, value in enumerate(content):
            yield from _cut_texts(value, f"{place}[{number}]")
    elif isinstance(content, dict):
        for name, value in content.items():
            yield from (place,) if _has_half(name) else _cut_texts(value, f"{place}.{name}")
    elif _has_half(content):
        yield place
