"""The limits of what a crawler may give the client, in one place, and the checks of them.

The server refuses a whole update for one bad member. So what the protocol limits is checked at the call, where the
crawler's author sees it: refused with an error that names the argument, the limit and the value, or cut with a warning.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tallymark.client.updates import clean

#: The largest number that the protocol allows.
MOST = 2**53 - 1
#: The largest resume state, and the largest attributes of a job.
MOST_STATE_BYTES = 64 * 1024
#: The largest JSON that one call may give. With what waits beside it, an update stays under the protocol's 1 MiB.
MOST_CALL_BYTES = 512 * 1024
#: The most for `max_bytes` of the client, for the same reason.
MOST_UPDATE_BYTES = 256 * 1024
#: How many fields one call may give. An update may have 1000 members.
MOST_FIELDS = 400
#: Waits are cut to three years, because the operating system cannot wait longer.
MOST_SECONDS = 1e8
#: Of TYPE and CURSOR below, because an attribute takes longer to read.
TYPE_MOST = 100
CURSOR_MOST = 255
OPERATIONS = ("discovery", "branch_crawling", "data_collection", "finalization")
_MOST_AREAS = 1000
#: JSON readers cannot hold larger numbers; the server refuses them.
_LARGEST = 10**308
_MANY_DIGITS = re.compile(r"\d{308}")


class Text(NamedTuple):
    """A text of the protocol: how many characters it has at least and at most, and what to do about another one."""

    least: int
    most: int
    cure: str


JOB_ID = Text(1, 255, "give the job a shorter id, such as a digest of it")
SERIES = Text(1, 255, "give the series a shorter name")
WORKER = Text(1, 100, "give the worker a shorter name that stays the same after a restart")
TYPE = Text(1, TYPE_MOST, "use few short names of types, and put details into event()")
CURSOR = Text(0, CURSOR_MOST, "keep a longer place in the state of checkpoint()")
KEY = Text(1, 1024, "give a text that identifies the item")
STAGE = Text(0, 100, "shorten the name of the stage, and put details into event()")
DATA_TYPE = Text(0, 100, "shorten it")
REASON = Text(0, 100, "shorten it")
EVENT = Text(1, 100, "use a short name, and put the rest into details")
AREA_TYPE = Text(1, 100, "use a word such as group or project")
#: Texts that are cut: characters. `error` is cut by its bytes, see `fitting`.
MESSAGE_CHARACTERS = 1000
#: An area's paths are limited by their bytes.
_PATH_BYTES = 1000


def shown(value: object) -> str:
    """Return a value for a message, shortened."""
    try:
        text = repr(value[:80] if isinstance(value, str) else value)
    except Exception:  # noqa: BLE001 - the crawler's own `__repr__`, in the middle of an error message
        return type(value).__name__
    return text if len(text) <= 100 else f"{text[:90]}..."  # noqa: PLR2004


def as_whole(argument: str, value: object, cure: str = "") -> int:
    """Return a count as an int: any whole number from 0 to 2^53 - 1, such as `numpy.int64(3)`, but not True or 0.5."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{argument} must be a whole number, not {shown(value)} ({type(value).__name__})")
    number = operator.index(value)
    if not 0 <= number <= MOST:
        end = f": {cure}" if cure else ""
        raise ValueError(f"{argument} must be a whole number from 0 to 2^53 - 1, not {shown(number)}{end}")
    return number


def as_positive(argument: str, value: object, most: int = MOST, least: int = 1) -> int:
    """Return a setting as an int."""
    number = as_whole(argument, value)
    if not least <= number <= most:
        raise ValueError(f"{argument} must be a whole number from {least} to {most}, not {number}")
    return number


def as_seconds(argument: str, value: object, *, above_zero: bool = False) -> float:
    """Return a time to wait, in seconds."""
    if isinstance(value, bool) or not hasattr(value, "__float__") or isinstance(value, str):
        raise TypeError(f"{argument} must be a number of seconds, not {shown(value)} ({type(value).__name__})")
    number = float(value)
    # NaN is neither.
    if not (number > 0 if above_zero else number >= 0):
        raise ValueError(
            f"{argument} must be a number of seconds {'above 0' if above_zero else 'from 0'}, not {number}"
        )
    return min(number, MOST_SECONDS)


def check_text(argument: str, value: object, limit: Text) -> None:
    """Raise TypeError or ValueError for a text that the server would refuse."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be text, not {shown(value)} ({type(value).__name__})")
    if not limit.least <= len(value) <= limit.most:
        found = f"{len(value)} as {shown(value)}: {limit.cure}" if value else "0"
        raise ValueError(f"{argument} must have {limit.least} to {limit.most} characters, not {found}")


def exact(text: str) -> str:
    """Return a text without a class of its own, such as lxml's: no method of that can fail later, in our threads."""
    return text if type(text) is str else str.__str__(text)


def check_id(argument: str, value: object, limit: Text) -> None:
    """Raise TypeError or ValueError for an id that the server would refuse, or would change."""
    check_text(argument, value, limit)
    if clean(value) != value:
        raise ValueError(f"{argument} must have no NUL and no unpaired surrogate, and is {shown(value)}")


def check_type(name: object, argument: str = "type") -> None:
    """Raise for a type's name that the server would refuse."""
    check_text(argument, name, TYPE)


def check_count(type_: object, n: object, processed: object) -> tuple[int, int | None]:
    """Return the numbers of a count, or raise. None for the second, where the caller gives none."""
    # Nearly all calls: this is asked for each item.
    if type(n) is int and type(type_) is str and processed is None and 0 <= n <= MOST and 0 < len(type_) <= TYPE_MOST:
        return n, None
    check_type(type_)
    number = as_whole("n", n, "items that were counted cannot be taken back")
    return number, None if processed is None else as_whole("processed", processed)


def as_cursor(last_id: object) -> str | None:
    """Return a cursor as text, or raise ValueError: the server would refuse a longer one, and the counts with it."""
    if last_id is None:
        return None
    text = last_id if type(last_id) is str else str(last_id)
    if len(text) > CURSOR_MOST:
        check_text("a cursor (last_id, or what id= returns)", text, CURSOR)
    return text


def check_callable(argument: str, value: Callable[..., object] | None) -> None:
    """Raise TypeError for what cannot be called."""
    if value is not None and not callable(value):
        raise TypeError(f"{argument} must be a function, not {shown(value)}")


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_sent(argument: str, value: Any, most: int = MOST_CALL_BYTES, cure: str = "") -> tuple[Any, int]:  # noqa: ANN401
    """Return JSON as it can be sent, and its size there; raise TypeError or ValueError, with the argument's name."""
    try:
        kept = clean(value)
        text = json.dumps(kept, allow_nan=False)
    except RecursionError:
        raise ValueError(f"{argument} is nested too deeply, or contains itself: give a flat value") from None
    except TypeError as error:
        raise TypeError(f"{argument} must be JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"{argument} must be JSON: {error}") from error
    if len(text) > most:
        advice = cure or "keep large things where the crawl keeps its results, and report where they are"
        raise ValueError(f"{argument} takes {len(text)} bytes as JSON, at most {most} are allowed: {advice}")
    if _MANY_DIGITS.search(text) and _has_huge_number(kept):
        raise ValueError(f"{argument} has a number beyond 1e308, which JSON readers cannot hold: give it as text")
    return kept, len(text)


def _has_huge_number(value: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(value, Mapping):
        return any(_has_huge_number(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_huge_number(inner) for inner in value)
    return isinstance(value, int) and abs(value) > _LARGEST


def as_state(state: Any, argument: str = "state") -> Any:  # noqa: ANN401 - any JSON
    """Return a resume state that can be sent, or raise: counts must not go ahead of a state that the server refuses."""
    kept, _size = as_sent(argument, state)
    size = len(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MOST_STATE_BYTES:
        raise ValueError(f"a resume state must not be larger than 64 KB, and {argument} takes {size} bytes: {_CURSOR}")
    return kept


_CURSOR = "keep a cursor in it, not a queue"


def as_attributes(attributes: object) -> dict[str, Any] | None:
    """Return the attributes of a job as they can be sent, or raise."""
    if attributes is None:
        return None
    if not isinstance(attributes, Mapping):
        raise TypeError(f"attributes must be a mapping, not {shown(attributes)}")
    kept, _size = as_sent("attributes", attributes, MOST_STATE_BYTES, "give only what tells jobs apart")
    if kept.get("counting") not in {None, "increment", "cumulative"}:
        raise ValueError(f"attributes['counting'] must be increment or cumulative, not {shown(kept['counting'])}")
    if kept.get("series") is not None:
        check_id("attributes['series']", kept["series"], SERIES)
    return kept or None


# --- areas ------------------------------------------------------------------------------------------------------------


def as_areas(areas: object) -> list[dict[str, Any]]:
    """Return areas as they can be sent, or raise, with the place of the one that is wrong."""
    if isinstance(areas, (str, Mapping)) or not hasattr(areas, "__iter__"):
        raise TypeError(f"areas must be a list of mappings, not {shown(areas)}")
    return [_as_area(f"areas[{number}]", area) for number, area in enumerate(areas)]


def _as_area(place: str, area: object) -> dict[str, Any]:
    if not isinstance(area, Mapping):
        raise TypeError(f"{place} must be a mapping with type and fullPath, not {shown(area)}")
    kept: dict[str, Any] = as_sent(place, {name: value for name, value in area.items() if value is not None})[0]
    check_text(f"{place}['type']", kept.get("type"), AREA_TYPE)
    for name in ("fullPath", "parentPath"):
        if name == "fullPath" or name in kept:
            path = kept.get(name, "")
            check_text(f"{place}[{name!r}]", path, Text(1, _PATH_BYTES, "give the path by which the area is known"))
            if len(path.encode()) > _PATH_BYTES:
                raise ValueError(
                    f"{place}[{name!r}] takes {len(path.encode())} bytes, at most {_PATH_BYTES} are allowed"
                )
    for name in ("name", "webUrl", "description", "discoveredBy"):
        if not isinstance(kept.get(name, ""), str):
            raise TypeError(f"{place}[{name!r}] must be text, not {shown(kept[name])}")
    for name in ("externalId", "gitlabId"):
        if isinstance(kept.get(name), bool) or not isinstance(kept.get(name, ""), (str, int, float)):
            raise TypeError(f"{place}[{name!r}] must be text or a number, not {shown(kept[name])}")
    return kept


def parts_of(areas: Sequence[dict[str, Any]], max_bytes: int) -> Iterator[list[dict[str, Any]]]:
    """Divide areas into parts that fit into an update each."""
    part: list[dict[str, Any]] = []
    size = 0
    for area in areas:
        its_size = len(json.dumps(area, allow_nan=False))
        if part and (size + its_size > max_bytes or len(part) >= _MOST_AREAS):
            yield part
            part, size = [], 0
        part.append(area)
        size += its_size
    if part:
        yield part


# --- what was cut -----------------------------------------------------------------------------------------------------

_told: dict[str, object] = {}


def is_first(what: str) -> bool:
    """Return whether to warn of something that may happen with every call: True the first time in this process."""
    # One call in C, so that no signal handler finds a lock that its thread holds.
    me = object()
    return _told.setdefault(what, me) is me
