"""Histories: what crawlers may send, and the ways in which it may arrive."""

import itertools
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st

from .model import Json

# Few values, so that times tie, types and workers repeat, and keys sort either way.
TIMES = [f"2025-01-06T19:15:{second:02}.{milli:03}Z" for second in (1, 2, 3) for milli in (0, 500)]
#: The same instants as others write them.
OTHER_NOTATIONS = {
    "2025-01-06T19:15:01Z": TIMES[0],
    "2025-01-06T20:15:02+01:00": TIMES[2],
    "2025-01-06 14:15:02,5-0500": TIMES[3],
    "2025-01-06T19:15:03.000000": TIMES[4],
}
COUNT = st.integers(0, 50)
TEXT = st.sampled_from(["a", "b", "", "é", "null", "x: null"])
RARE_COUNT = st.sampled_from([0, 1, 2**53 - 1, 10**6, 7.0])
#: What stands for an item: an address, a number, whatever a crawler has. Few, so that updates name the same ones.
KEYS = ["a", "b", "c", "é", "e\u0301", "A", " a", "https://example.com/?q=1", "日" * 1024]
TYPES = ["issues", "groups", "projects"]
#: Types that items are named of; some are also counted in other ways.
KEYED_TYPES = ["issues", "pages", "projects"]

AREA = st.fixed_dictionaries(
    {"fullPath": st.sampled_from(["g", "g/p", "é"]), "type": st.sampled_from(["group", "project", "Group", "topic"])},
    optional={
        "name": st.sampled_from(["N", "M"]) | st.none(),
        "gitlabId": st.integers(1, 2),
        "externalId": st.sampled_from(["x", 7]),
        "description": TEXT,
    },
)
OWN_EVENT = st.fixed_dictionaries(
    {"timestamp": st.sampled_from(TIMES), "event": st.sampled_from(["own", "é"])},
    optional={"details": st.sampled_from([{}, {"n": 1}, None])},
)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "processedItems": COUNT | RARE_COUNT,
    "totalItems": st.just(2**53 - 1) | st.none(),
    "itemsByType": st.dictionaries(st.sampled_from(TYPES), COUNT | RARE_COUNT, min_size=1),
    "itemKeys": st.dictionaries(
        st.sampled_from(KEYED_TYPES), st.lists(st.sampled_from(KEYS), min_size=1, max_size=4), min_size=1
    )
    | st.none(),
    "foundByType": st.dictionaries(st.sampled_from(TYPES), COUNT | RARE_COUNT, max_size=2),
    "failedByType": st.dictionaries(st.sampled_from(TYPES), COUNT, min_size=1),
    "skippedByType": st.dictionaries(st.sampled_from(TYPES), COUNT, min_size=1),
    "totalsByType": st.dictionaries(st.sampled_from(TYPES), COUNT | RARE_COUNT, max_size=2) | st.none(),
    "currentDataType": TEXT,
    "stage": st.sampled_from(["s1", "s2"]) | st.none(),
    "operationType": st.sampled_from(["discovery", "branch_crawling", "data_collection", "finalization"]),
    "lastProcessedId": TEXT,
    "doneBeyond": st.lists(st.sampled_from(["b", "c", "é"]), max_size=3, unique=True),
    "message": TEXT | st.just("long " * 220),
    "error": st.sampled_from(["boom", {"type": "E", "message": "m"}]),
    "progress": st.sampled_from([{"page": 1}, {"page": 2, "null": None}, [1], "token", 7, False]),
    "custom": st.sampled_from([1, {"deep": [None]}, [None], "x", False]),
    "workerId": st.sampled_from(["w1", "w2"]),
    "counting": st.sampled_from(["increment", "cumulative"]),
    "groupCount": COUNT,
    "projectCount": COUNT,
    "processed": COUNT,
    "total": st.just(2**53 - 1),
    "groupTotal": COUNT,
    "projectTotal": COUNT,
    "areas": st.lists(AREA, max_size=3),
    "credentialStatus": st.sampled_from([{"providerId": "gl"}, {"severity": "high", "adminGuidance": ["call"]}]),
    "timeline": st.lists(OWN_EVENT, max_size=2),
}
#: The counts among them.
COUNTED = ("processedItems", "itemsByType", "itemKeys", "foundByType", "failedByType", "skippedByType", "totalsByType")
#: Members that only updates with the status `waiting` have.
OF_WAITING: dict[str, st.SearchStrategy[Any]] = {
    "waitUntil": st.sampled_from(["2025-01-06T19:20:00.000Z", "2025-01-06T19:25:00.000Z"]),
    "reason": st.sampled_from(["rate limit", "maintenance", "é"]),
}
STATUSES = [
    *("started", "processing", "PROCESSING", "completed", "failed", "paused", "cancelled", "waiting", "Waiting"),
    *("new_areas_discovered", "credential_expiry", "Credential_Renewal", "credential_resumed"),
]
#: All deliveries are to this job, because a job's name is part of its updates, and of the digests that are their keys.
JOB = "job"


class Call(NamedTuple):
    """Updates that are sent together, by their indexes, and how; `alive` is a sign of life, without updates."""

    indexes: list[int]
    how: Literal["each alone", "batch", "group", "alive"] = "batch"


Delivery = list[Call]


class History(NamedTuple):
    """Updates and two deliveries of them, each with every update at least once.

    `look` chooses the event as of which the job is read.
    """

    updates: list[Json]
    one_way: Delivery
    other_way: Delivery
    look: int = 0


def without_conflict(payload: Json) -> Json:
    """Remove the keys of types that the same update counts: the protocol refuses both in one update."""
    if payload.get("itemKeys"):
        legacy = {"groupCount": "groups", "projectCount": "projects"}
        counted = {*(payload.get("itemsByType") or {}), *(legacy[name] for name in legacy if name in payload)}
        payload["itemKeys"] = {name: keys for name, keys in payload["itemKeys"].items() if name not in counted}
        if not payload["itemKeys"]:
            del payload["itemKeys"]
    return payload


@st.composite
def payloads(draw: st.DrawFn) -> Json:
    """An update as a crawler might send it, without its updateId."""
    given_names = draw(st.lists(st.sampled_from(sorted(OPTIONAL)), unique=True, max_size=7))
    payload: Json = {
        "taskId": JOB,
        "status": draw(st.sampled_from(STATUSES)),
        "timestamp": draw(st.sampled_from(TIMES) | st.sampled_from(sorted(OTHER_NOTATIONS))),
    }
    for name in given_names:
        payload[name] = draw(OPTIONAL[name])
    if payload["status"] == "new_areas_discovered":
        payload.setdefault("areas", draw(OPTIONAL["areas"]))
    if payload["status"].lower() == "waiting":
        payload |= draw(st.fixed_dictionaries({}, optional=OF_WAITING))
    if "doneBeyond" in payload:
        # What is done beyond the cursor means something only beside the cursor.
        payload.setdefault("lastProcessedId", draw(TEXT))
    return without_conflict(payload)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Updates, two deliveries of them, and where to look."""
    updates = draw(st.lists(payloads(), min_size=1, max_size=5))
    # Updates that differ only in time and counts, like most of a crawler's: a batch merges them together.
    alike = draw(st.sampled_from(updates))
    for seconds in draw(st.lists(st.integers(4, 9), max_size=4)):
        time = f"2025-01-06T19:15:{seconds:02}.000Z"
        counts = {name: draw(OPTIONAL[name]) for name in COUNTED if name in alike}
        updates.append(without_conflict({**alike, "timestamp": time, **counts, "status": "processing"}))
    for number, update in enumerate(updates):
        if draw(st.booleans()):
            update["updateId"] = f"{draw(st.sampled_from('ab'))}{number}"
    indexes = list(range(len(updates)))
    orders = [draw(st.permutations(indexes + draw(st.lists(st.sampled_from(indexes), max_size=4)))) for _ in "12"]
    return History(updates, draw(calls(orders[0])), draw(calls(orders[1])), draw(st.integers(0, 20)))


@st.composite
def calls(draw: st.DrawFn, order: list[int]) -> Delivery:
    """Updates in some order, divided into calls, with signs of life between them."""
    cuts = draw(st.lists(st.integers(1, 5), min_size=len(order), max_size=len(order)))
    places = list(itertools.takewhile(lambda place: place < len(order), itertools.accumulate(cuts, initial=0)))
    delivery: Delivery = []
    for start, end in zip(places, [*places[1:], len(order)], strict=True):
        if draw(st.integers(0, 7)) == 0:
            delivery.append(Call([], "alive"))
        delivery.append(Call(order[start:end], draw(st.sampled_from(["each alone", "batch", "batch", "group"]))))
    return delivery
