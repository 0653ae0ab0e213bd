"""What a crawl of a GitLab-like site will find and what will happen on its way, all drawn at random beforehand."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, NamedTuple

#: `move` is a kill after which the crawl goes on on another machine, with an empty spool.
Turn = Literal["error", "kill", "move", "pause", "wait", "credential", "retry", "fail"]
Style = Literal["items", "pages", "keys"]

#: What is collected, in this order, and about which part of all items each type is.
_TYPES = {"branches": 8, "issues": 20, "merge_requests": 15, "commits": 38, "pipelines": 12, "users": 7}
#: What a branch crawl collects; all else is data collection.
_BRANCHES = {"branches"}
_GROUPS = ("platform", "web", "mobile", "data", "research", "tools", "infra", "design", "docs", "security")
_PROJECTS = ("api", "site", "app", "worker", "parser", "charts", "gateway", "billing", "search", "mailer", "agent")
_OWNERS = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell")
#: How the client counts, and how often each way is.
_STYLES: tuple[Style, ...] = ("items", "pages", "pages", "keys")
#: How likely each turn (what may happen to a crawl on its way) is.
_CHANCES = {"error": 0.4, "kill": 0.2, "move": 0.15, "pause": 0.15, "wait": 0.2, "credential": 0.15, "retry": 0.08}
_FAILS = 0.08
_BEGIN, _END = 0.1, 0.95


class Page(NamedTuple):
    """The items that one request brings: their type, and the numbers of the first and last among all, from 0 on."""

    type: str
    first: int
    last: int

    @property
    def operation(self) -> str:
        """The type of operation that brings it."""
        return "branch_crawling" if self.type in _BRANCHES else "data_collection"


@dataclass(frozen=True)
class Plan:
    """A crawl: the areas that it discovers, then so many items of each type, in pages of at most `page_size`.

    `turns` maps the number of an item to what happens just before that item; `style` is how the client counts.
    """

    job_id: str
    owner: str
    areas: tuple[dict[str, Any], ...]
    counts: dict[str, int]
    page_size: int
    turns: dict[int, Turn]
    style: Style

    @property
    def asks(self) -> bool:
        """Whether requests are counted, too: not where a kill would make their true number unknown.

        Nor beside items that are counted by keys: only the server knows how many those are, so the job has no
        `processedItems`.
        """
        return self.style != "keys" and not {"kill", "move"} & set(self.turns.values())

    @property
    def total(self) -> int:
        """How many items there are."""
        return sum(self.counts.values())

    def areas_of(self, kind: str) -> int:
        """Count the areas of a kind."""
        return sum(area["type"] == kind for area in self.areas)

    def item(self, number: int) -> tuple[str, str]:
        """Return the type and the id of an item."""
        rest = number
        for kind, count in self.counts.items():
            if rest < count:
                return kind, f"{kind}-{rest + 1}"
            rest -= count
        raise IndexError(number)

    def after(self, last_id: str | None) -> int:
        """Return the number of the item that follows an id; 0 where there is no id."""
        if last_id is None:
            return 0
        wanted, _, number = last_id.rpartition("-")
        before = 0
        for kind, count in self.counts.items():
            if kind == wanted:
                return before + int(number)
            before += count
        raise ValueError(last_id)

    def pages(self, start: int) -> Iterator[Page]:
        """Yield the pages from an item on; a turn begins a new one."""
        before = 0
        for kind, count in self.counts.items():
            at, end = max(start, before), before + count
            while at < end:
                stops = [turn for turn in self.turns if at < turn < end]
                until = min([at + self.page_size, end, *stops])
                yield Page(kind, at, until - 1)
                at = until
            before = end


def draw_plan(dice: Random, job_id: str, items: int) -> Plan:
    """Draw a crawl of about so many items."""
    shares = {kind: share * dice.uniform(0.4, 1.6) for kind, share in _TYPES.items()}
    whole = sum(shares.values())
    counts = {kind: max(1, round(items * share / whole)) for kind, share in shares.items()}
    total = sum(counts.values())
    style = dice.choice(_STYLES)
    turns: dict[int, Turn] = {}
    wanted: list[Turn] = [turn for turn, chance in _CHANCES.items() if dice.random() < chance]  # type: ignore[misc]  # the names of the table
    if dice.random() < _FAILS:
        wanted.append("fail")
    if "move" in wanted and style != "keys":
        # Only items that have keys count once without the spool.
        wanted[wanted.index("move")] = "kill"
    for turn in wanted:
        turns.setdefault(dice.randint(int(total * _BEGIN) + 1, int(total * _END) + 1), turn)
    owner = dice.choice(_OWNERS)
    return Plan(
        job_id,
        owner,
        _draw_areas(dice, owner),
        counts,
        dice.randint(4, 20),
        turns,
        style,
    )


def _draw_areas(dice: Random, owner: str) -> tuple[dict[str, Any], ...]:
    """Draw a tree of groups with projects in them."""
    paths = [owner]
    areas = [_area(dice, "group", owner, None)]
    for name in dice.sample(_GROUPS, dice.randint(1, 5)):
        parent = dice.choice(paths)
        paths.append(f"{parent}/{name}")
        areas.append(_area(dice, "group", paths[-1], parent))
    for parent in paths:
        areas += [
            _area(dice, "project", f"{parent}/{name}", parent) for name in dice.sample(_PROJECTS, dice.randint(0, 6))
        ]
    return tuple(areas)


def _area(dice: Random, kind: str, path: str, parent: str | None) -> dict[str, Any]:
    area = {
        "type": kind,
        "fullPath": path,
        "name": path.rpartition("/")[2].title(),
        "gitlabId": dice.randint(1, 99_999),
        "webUrl": f"https://gitlab.example/{path}",
        "discoveredBy": "simulate",
    }
    return area if parent is None else {**area, "parentPath": parent}
