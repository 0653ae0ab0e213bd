"""The values of a case: what stands for something else in them, and what they ask of an answer."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

Json = Any
Names = dict[str, Json]

_NAME = re.compile(r"\{([A-Za-z][A-Za-z0-9]*)\}")
_TIMES = re.compile(r"\{(.)\*(\d+)\}", re.DOTALL)
_NOW = re.compile(r"\{now([+-]\d+)?\}")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
#: Stands for a member that the answer does not have.
_NOTHING = object()


class BadCaseError(Exception):
    """A case is not written as README.md has it."""


# --- filling in -----------------------------------------------------------------------------------------------------


def fill(value: Json, names: Mapping[str, Json]) -> Json:
    """Give a value with all placeholders in it replaced; a string that is nothing but one becomes what that names.

    Args:
        value: Any JSON.
        names: What the placeholders stand for; `now` is a datetime.

    Returns:
        The value to send or to ask for.

    Raises:
        BadCaseError: A placeholder has no meaning here.
    """
    if isinstance(value, str):
        return _fill_text(value, names)
    if isinstance(value, list):
        return [fill(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    if "$repeat" in value:
        return _repeat(int(value["$repeat"]), value["of"], names)
    return {str(_fill_text(name, names)): fill(item, names) for name, item in value.items()}


def _fill_text(text: str, names: Mapping[str, Json]) -> Json:
    whole = _NAME.fullmatch(text)
    if whole and whole[1] != "now":
        return _named(whole[1], names)
    text = _NOW.sub(lambda found: _moment(names["now"], int(found[1] or 0)), text)
    text = _NAME.sub(lambda found: str(_named(found[1], names)), text)
    return _TIMES.sub(lambda found: found[1] * int(found[2]), text)


def _named(name: str, names: Mapping[str, Json]) -> Json:
    if name not in names:
        raise BadCaseError(f"{{{name}}} is the name of nothing")
    # What a table of examples holds may have placeholders, too.
    return fill(names[name], {other: value for other, value in names.items() if other != name})


def _moment(now: datetime, seconds: int) -> str:
    return (now + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _repeat(times: int, of: Json, names: Mapping[str, Json]) -> Json:
    filled = [fill(of, {**names, "n": number}) for number in range(1, times + 1)]
    if isinstance(of, dict):
        return {name: value for part in filled for name, value in part.items()}
    return [value for part in filled for value in part]


# --- matching -------------------------------------------------------------------------------------------------------


def differences(wanted: Json, got: Json, kept: Names, path: str = "body") -> Iterator[str]:
    """Compare an answer with what a case asks of it.

    Args:
        wanted: What is asked: JSON, and in it the matchers of README.md.
        got: The answer.
        kept: Where `$keep` puts what it finds.
        path: Where in the answer this is.

    Yields:
        Each difference, in words.

    Raises:
        BadCaseError: A matcher is not one of README.md's.
    """
    if isinstance(wanted, str) and wanted.startswith("$"):
        if not _word(wanted)(got):
            yield f"{path}: wanted {wanted}, got {_show(got)}"
    elif isinstance(wanted, dict) and any(name.startswith("$") for name in wanted):
        [(word, argument)] = wanted.items()
        yield from _matcher(word)(argument, got, kept, path)
    elif isinstance(wanted, dict):
        yield from _members(wanted, got, kept, path)
    elif isinstance(wanted, list):
        yield from _elements(wanted, got, kept, path)
    elif isinstance(wanted, bool) != isinstance(got, bool) or wanted != got:
        yield f"{path}: wanted {_show(wanted)}, got {_show(got)}"


def _show(value: Json) -> str:
    text = "nothing" if value is _NOTHING else repr(value)
    return text if len(text) <= 400 else f"{text[:400]}..."


def _members(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    if not isinstance(got, dict):
        yield f"{path}: wanted an object, got {_show(got)}"
        return
    for name, value in wanted.items():
        yield from differences(value, got.get(name, _NOTHING), kept, f"{path}.{name}")


def _exactly(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    yield from _members(wanted, got, kept, path)
    if isinstance(got, dict):
        for name in got.keys() - wanted.keys():
            yield f"{path}.{name}: wanted nothing, got {_show(got[name])}"


def _elements(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    if not isinstance(got, list) or len(got) != len(wanted):
        yield f"{path}: wanted an array of {len(wanted)}, got {_show(got)}"
        return
    for number, (one, other) in enumerate(zip(wanted, got, strict=True)):
        yield from differences(one, other, kept, f"{path}[{number}]")


def _contains(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    for one in wanted:
        if not isinstance(got, list) or all(list(differences(one, other, kept)) for other in got):
            yield f"{path}: wanted {_show(one)} among {_show(got)}"


def _starts(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    yield from _elements(wanted, got[: len(wanted)] if isinstance(got, list) else got, kept, path)


def _each(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    if not isinstance(got, list):
        yield f"{path}: wanted an array, got {_show(got)}"
        return
    for number, one in enumerate(got):
        yield from differences(wanted, one, kept, f"{path}[{number}]")


def _length(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    size = len(got) if isinstance(got, str | list | dict) else _NOTHING
    yield from differences(wanted, size, kept, f"{path}'s length")


def _matches(wanted: Json, got: Json, _kept: Names, path: str) -> Iterator[str]:
    if not isinstance(got, str) or not re.search(wanted, got):
        yield f"{path}: wanted a match of {wanted}, got {_show(got)}"


def _instant(wanted: Json, got: Json, _kept: Names, path: str) -> Iterator[str]:
    if not (_is_timestamp(got) and datetime.fromisoformat(got) == datetime.fromisoformat(wanted)):
        yield f"{path}: wanted the moment {wanted}, got {_show(got)}"


def _not(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    if got is _NOTHING or not list(differences(wanted, got, kept)):
        yield f"{path}: wanted anything but {_show(wanted)}, got {_show(got)}"


def _all(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    for one in wanted:
        yield from differences(one, got, kept, path)


def _one_of(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    if all(list(differences(one, got, kept)) for one in wanted):
        yield f"{path}: wanted one of {_show(wanted)}, got {_show(got)}"


def _keep(wanted: Json, got: Json, kept: Names, path: str) -> Iterator[str]:
    if got is _NOTHING:
        yield f"{path}: wanted anything, got nothing"
    kept[wanted] = got


_Matcher = Callable[[Json, Json, Names, str], Iterator[str]]

_MATCHERS: dict[str, _Matcher] = {
    "$exactly": _exactly,
    "$contains": _contains,
    "$starts": _starts,
    "$each": _each,
    "$length": _length,
    "$matches": _matches,
    "$instant": _instant,
    "$not": _not,
    "$all": _all,
    "$oneOf": _one_of,
    "$keep": _keep,
}


def _is_timestamp(got: Json) -> bool:
    return isinstance(got, str) and _TIMESTAMP.fullmatch(got) is not None


_WORDS: dict[str, Callable[[Json], bool]] = {
    "$any": lambda got: got is not _NOTHING,
    "$absent": lambda got: got is _NOTHING,
    "$none": lambda got: got is _NOTHING or got is None,
    "$string": lambda got: isinstance(got, str) and bool(got),
    "$strings": lambda got: isinstance(got, list) and bool(got) and all(isinstance(one, str) and one for one in got),
    "$integer": lambda got: isinstance(got, int) and not isinstance(got, bool),
    "$number": lambda got: isinstance(got, int | float) and not isinstance(got, bool),
    "$object": lambda got: isinstance(got, dict),
    "$array": lambda got: isinstance(got, list),
    "$timestamp": _is_timestamp,
}


def _word(word: str) -> Callable[[Json], bool]:
    if word not in _WORDS:
        raise BadCaseError(f"{word} is no matcher")
    return _WORDS[word]


def _matcher(word: str) -> _Matcher:
    if word not in _MATCHERS:
        raise BadCaseError(f"{word} is no matcher")
    return _MATCHERS[word]
