"""The promise in plain Python: what the state of a job must be, from nothing but the set of its updates.

Written from the definition, not from the SQL: each rule looks at all updates at once, so their order cannot matter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

TERMINAL = {"finished", "failed", "cancelled"}
JOB_STATUS = {
    "started": "running",
    "processing": "running",
    "completed": "finished",
    "failed": "failed",
    "paused": "paused",
    "cancelled": "cancelled",
    "waiting": "waiting",
    "new_areas_discovered": "running",
    "credential_expiry": "credential_expired",
    "credential_renewal": "waiting_credential_renewal",
    "credential_resumed": "credential_renewed",
}
#: Members that have a rule of their own, and so are no newest-wins fields.
ENVELOPE = {"taskId", "status", "timestamp", "updateId", "workerId", "counting", "timeline", "areas", "itemKeys"}
#: Members that say where a crawl is to go on: `completed` clears them, because nothing is left to go on with.
UNTIL_COMPLETED = {"progress", "doneBeyond"}
#: How many types of items, and how many fields of its own, a job's state names at most.
MOST_NAMES = 1000
#: How many characters of a message are kept.
MOST_MESSAGE = 1000
#: Fields that the wire protocol knows; these are not counted.
PROTOCOL = {
    *("totalItems", "currentDataType", "stage", "operationType", "lastProcessedId", "message", "error"),
    *("groupTotal", "projectTotal", "credentialStatus", "lastAreasDiscovery"),
    *("waitUntil", "reason", "doneBeyond"),
}
#: Counts by type that are summed, or each worker's highest, as itemsByType is.
BOOKS = ("foundByType", "failedByType", "skippedByType")
COUNTS = {"processedItems", "itemsByType", "groupCount", "projectCount", "processed", "totalsByType", *BOOKS}


@dataclass(frozen=True)
class Update:
    """One update: its time as text that sorts like the time, its key, and what it gives."""

    at: str
    key: str
    payload: Json

    @property
    def clock(self) -> tuple[str, bytes]:
        """What decides which of two updates is the newer."""
        return self.at, self.key.encode()

    @property
    def status(self) -> str:
        """The job status that it stands for."""
        return JOB_STATUS[self.payload["status"].lower()]

    @property
    def worker(self) -> str:
        """Who reports; empty for the unnamed worker."""
        return self.payload.get("workerId") or ""

    @property
    def given(self) -> Json:
        """Its members; one that is null counts as not given, and a legacy name as today's."""
        given = {name: value for name, value in self.payload.items() if value is not None}
        if "total" in given:
            given.setdefault("totalItems", given.pop("total"))
        if "message" in given:
            given["message"] = given["message"][:MOST_MESSAGE]
        if "areas" in given:
            # The areas themselves are counted, not what the crawler says of their number.
            for name in ("groupCount", "projectCount"):
                given.pop(name, None)
            for name in ("itemsByType", "itemKeys"):
                if name in given:
                    counts = given[name].items()
                    given[name] = {name: n for name, n in counts if name not in {"groups", "projects"}}
            held = [area["type"] for area in self.areas.values()]
            given["lastAreasDiscovery"] = {
                "timestamp": self.at,
                "groupsCount": held.count("group"),
                "projectsCount": held.count("project"),
                "totalDiscovered": len(held),
            }
        return given

    @property
    def areas(self) -> dict[str, Json]:
        """Its areas by their paths; of one that it names twice, what it says later goes before."""
        areas: dict[str, Json] = {}
        for area in self.payload.get("areas") or []:
            members = {name: value for name, value in area.items() if value is not None}
            if "gitlabId" in members:
                members.setdefault("externalId", members.pop("gitlabId"))
                members.pop("gitlabId", None)
            members["type"] = members["type"].lower()
            areas.setdefault(members.pop("fullPath"), {}).update(members)
        return areas

    @property
    def processed(self) -> int | None:
        """Its running total of processed items."""
        value = self.given.get("processedItems", self.given.get("processed"))
        return None if value is None else int(value)

    @property
    def running_totals(self) -> dict[str, int]:
        """Its running totals by type."""
        totals = {name: int(n) for name, n in self.given.get("itemsByType", {}).items()} if self.cumulative else {}
        for legacy, name in (("groupCount", "groups"), ("projectCount", "projects")):
            if legacy in self.given:
                totals[name] = max(totals.get(name, 0), int(self.given[legacy]))
        return totals

    def increments_of(self, member: str) -> dict[str, int]:
        """What it adds to one of the counts in BOOKS, by type."""
        return {} if self.cumulative else {name: int(n) for name, n in self.given.get(member, {}).items()}

    def totals_of(self, member: str) -> dict[str, int]:
        """Its running totals of one of the counts in BOOKS, by type."""
        return {name: int(n) for name, n in self.given.get(member, {}).items()} if self.cumulative else {}

    @property
    def item_keys(self) -> dict[str, set[str]]:
        """The items that it names, by type. Each counts once for the job, however many updates name it."""
        return {name: set(keys) for name, keys in self.given.get("itemKeys", {}).items()}

    @property
    def cumulative(self) -> bool:
        """Whether its itemsByType are running totals."""
        return self.given.get("counting") == "cumulative"


def expected(updates: Iterable[Update]) -> Json:
    """Give the state of a job that got these updates, each of them at least once, in any order.

    Returns: status, progress, resume_state, started_at, finished_at and areas.
    """
    distinct = list({update.key: update for update in updates}.values())
    if not distinct:
        times = {"started_at": None, "finished_at": None}
        return {"status": "queued", "progress": {}, "resume_state": None, **times, "areas": {}}
    newest_status = max(distinct, key=lambda u: (u.at, u.status in TERMINAL, u.key.encode()))
    progress = _newest_fields(distinct) | _counts(distinct)
    return {
        "status": newest_status.status,
        "progress": progress,
        "resume_state": _until_completed(distinct, "progress"),
        "started_at": min(u.at for u in distinct),
        "finished_at": newest_status.at if newest_status.status in TERMINAL else None,
        "areas": _areas(distinct),
    }


def counted_items(updates: Iterable[Update]) -> dict[str, set[str]]:
    """Give the keys that count for a job that got these updates, by type: all that any of them named."""
    items: dict[str, set[str]] = {}
    for update in updates:
        for name, keys in update.item_keys.items():
            items.setdefault(name, set()).update(keys)
    return items


def resume_of(updates: Iterable[Update], worker: str = "") -> Json:
    """Give what the acknowledgement of `started` must say to a worker of a job that got these updates.

    Returns: resume, newestTimestamp and worker, as the wire protocol has them.
    """
    distinct = list({update.key: update for update in updates}.values())
    state = expected(distinct)
    progress = state["progress"]
    mine = [u for u in distinct if u.worker == worker]
    totals: dict[str, int] = {}
    kept = _kept(_types(distinct))
    books: dict[str, dict[str, int]] = {}
    for update in mine:
        for name, count in update.running_totals.items():
            if name in kept:
                totals[name] = max(totals.get(name, 0), count)
        for member in BOOKS:
            for name, count in update.totals_of(member).items():
                own = books.setdefault(member, {})
                if name in kept:
                    own[name] = max(own.get(name, 0), count)
    return {
        "resume": {
            "lastProcessedId": progress.get("lastProcessedId"),
            "doneBeyond": progress.get("doneBeyond") or [],
            "resumeState": state["resume_state"],
            "itemsByType": progress.get("itemsByType", {}),
            "processedItems": progress.get("processedItems", 0),
        },
        "newestTimestamp": max(u.at for u in distinct),
        "worker": {"processedItems": max((u.processed or 0 for u in mine), default=0), "itemsByType": totals} | books,
    }


def books_of(progress: Json) -> dict[str, Json] | None:
    """Give the books of a job: of each type how many there are, what became of them, and how many are left."""
    members = ("itemsByType", *BOOKS, "totalsByType")
    if not any(member in progress for member in members[1:]):
        return None
    books: dict[str, Json] = {}
    for name in {name for member in members for name in progress.get(member, {})}:
        done, found, failed, skipped = (progress.get(member, {}).get(name) for member in members[:4])
        total = progress.get("totalsByType", {}).get(name, found) if name else None
        parts = {"done": done or 0, "failed": failed or 0, "skipped": skipped or 0}
        rest = None if total is None else total - sum(parts.values())
        books[name] = {
            "total": total,
            **parts,
            "left": None if rest is None else max(rest, 0),
            "over": None if rest is None else max(-rest, 0),
        }
    return books or None


def shortfall_of(status: str, progress: Json) -> dict[str, int] | None:
    """Give what is missing from a job that has finished, by type; None where nothing is."""
    books = books_of(progress) or {}
    missing = {name: book["left"] for name, book in books.items() if book["left"]}
    return missing if missing and status == "finished" else None


def percentage_of(progress: Json) -> float | None:
    """Give how much of a job is done, in percent, rounded down to one decimal; None where the total is not known."""
    books = books_of(progress)
    total, done = progress.get("totalItems"), progress.get("processedItems")
    if total is None and books and all(book["total"] is not None for book in books.values()):
        total = sum(book["total"] for book in books.values())
        done = total - sum(book["left"] for book in books.values())
    elif done is None:
        done = sum(progress.get("itemsByType", {}).values())
    return min(1000 * done // total, 1000) / 10 if total else None


def _until_completed(updates: list[Update], name: str, *, may_give: bool = False) -> Any:  # noqa: ANN401 - any JSON
    """Give the newest value of a member that `completed` clears; None where there is none, or it was cleared.

    `may_give`: whether `completed` can give a value itself, if that is not empty.
    """
    givers = [u for u in updates if name in u.given or u.status == "finished"]
    newest = max(givers, key=lambda u: u.clock, default=None)
    if newest is None or newest.status == "finished":
        return (newest.given.get(name) or None) if newest is not None and may_give else None
    return newest.given[name]


def _areas(updates: list[Update]) -> dict[str, Json]:
    """Give all areas: of each member what the newest update said that named it, and when the area was first seen."""
    areas: dict[str, Json] = {}
    for update in sorted(updates, key=lambda u: u.clock):
        for path, members in update.areas.items():
            area = areas.setdefault(path, {"details": {}, "discovered_at": update.at})
            area["details"].update(members)
    return areas


def _newest_fields(updates: list[Update]) -> Json:
    fields: Json = {}
    names = {name for update in updates for name in update.given} - ENVELOPE - COUNTS - UNTIL_COMPLETED
    for name in names & PROTOCOL | _kept(names - PROTOCOL):
        winner = max((u for u in updates if name in u.given), key=lambda u: u.clock)
        fields[name] = winner.given[name]
        if name == "error":
            fields["errorTimestamp"] = winner.at
    beyond = _until_completed(updates, "doneBeyond", may_give=True)
    if beyond is not None:
        fields["doneBeyond"] = beyond
    return fields


def _kept(names: set[str]) -> set[str]:
    """Give the names that the state has: the shortest, of the same length the first by their bytes."""
    return set(sorted(names, key=lambda name: (len(name.encode()), name.encode()))[:MOST_NAMES])


def _counts(updates: list[Update]) -> Json:
    counts: Json = {}
    highest: dict[str, int] = {}
    for update in updates:
        if update.processed is not None:
            highest[update.worker] = max(highest.get(update.worker, 0), update.processed)
    if highest:
        counts["processedItems"] = sum(highest.values())
    totals = _totals(updates)
    if totals:
        counts["itemsByType"] = totals
    kept = _kept(_types(updates))
    for member in BOOKS:
        if any(member in update.given for update in updates):
            counts[member] = _book(updates, member, kept)
    givers = [update for update in updates if "totalsByType" in update.given]
    if givers:
        newest = {name: n for u in sorted(givers, key=lambda u: u.clock) for name, n in u.given["totalsByType"].items()}
        counts["totalsByType"] = {name: int(n) for name, n in newest.items() if name in kept}
    return counts


def _book(updates: list[Update], member: str, kept: set[str]) -> dict[str, int]:
    """Add up one of the counts in BOOKS: all increments, and each worker's highest running total."""
    sums: dict[str, int] = {}
    running: dict[tuple[str, str], int] = {}
    for update in updates:
        for name, count in update.increments_of(member).items():
            sums[name] = sums.get(name, 0) + count
        for name, count in update.totals_of(member).items():
            running[update.worker, name] = max(running.get((update.worker, name), 0), count)
    for (_worker, name), count in running.items():
        sums[name] = sums.get(name, 0) + (count if name in kept else 0)
    further = [name for name in sums if name not in kept]
    return {name: n for name, n in sums.items() if name in kept} | (
        {"": sum(sums[name] for name in further)} if further else {}
    )


def _types(updates: list[Update]) -> set[str]:
    names = {
        name
        for update in updates
        for name in (
            *update.given.get("itemsByType", {}),
            *update.running_totals,
            *update.item_keys,
            *(name for member in (*BOOKS, "totalsByType") for name in update.given.get(member, {})),
        )
    }
    return names | ({"groups", "projects"} if any("areas" in update.given for update in updates) else set())


def _totals(updates: list[Update]) -> dict[str, int]:
    totals: dict[str, int] = {}
    running: dict[tuple[str, str], int] = {}
    names = _types(updates)
    kept = _kept(names)
    for update in updates:
        if not update.cumulative:
            for name, count in update.given.get("itemsByType", {}).items():
                totals[name] = totals.get(name, 0) + int(count)
        for name, count in update.running_totals.items():
            running[update.worker, name] = max(running.get((update.worker, name), 0), count)
    for (_worker, name), count in running.items():
        # Of the others, the running totals are not known any more.
        totals[name] = totals.get(name, 0) + (count if name in kept else 0)
    for name, keys in counted_items(updates).items():
        totals[name] = totals.get(name, 0) + len(keys)
    if any("areas" in update.given for update in updates):
        types = [area["details"]["type"] for area in _areas(updates).values()]
        for kind, name in (("group", "groups"), ("project", "projects")):
            totals[name] = totals.get(name, 0) + types.count(kind)
    if further := totals.keys() - kept:
        totals[""] = sum(totals.pop(name) for name in further)
    return totals
