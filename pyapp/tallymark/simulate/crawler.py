"""What all crawlers have in common: where they work, what they have really done, and what happens to them."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from tallymark.simulate.chaos import Mischief
from tallymark.simulate.plan import Page, Plan, Turn

#: How long it takes people or machines to repair something, as a part of the run; and at most, in seconds.
_REPAIR_PART, _REPAIR_MOST = 0.03, 3.0
#: What crawlers wait for.
REASONS = ("rate limit", "maintenance", "quota")
#: Errors that crawlers meet: the type, the message, the code.
ERRORS = (
    ("ConnectionResetError", "connection reset by peer while reading page {page}", "ECONNRESET"),
    ("ReadTimeout", "GET /api/v4/projects/{page}/issues timed out after 30 s", "ETIMEDOUT"),
    ("RateLimited", "429 Too Many Requests, retry after {page} s", "429"),
    ("GraphQLError", "Field 'mergeRequests' exceeded the complexity limit of 250 on page {page}", "COMPLEXITY"),
    ("JSONDecodeError", "Expecting value: line 1 column {page}", "PARSE"),
)


class Ended(Exception):  # noqa: N818 - reads as what it is in an except clause
    """The run is over."""


class Broken(Exception):  # noqa: N818 - as above
    """A crawler saw something that must not happen. The text says what."""


@dataclass(frozen=True)
class Site:
    """Where all crawlers of a run work: a server, so many items a second, for about so many seconds.

    `ending` is set when the run is over: crawlers then pause and leave. `abandoned` is set when updates that the server
    has not got by then are given up.
    """

    url: str
    token: str
    rate: float
    seconds: float
    ending: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def repair(self) -> float:
        """About how many seconds it takes to repair something."""
        return min(self.seconds * _REPAIR_PART, _REPAIR_MOST)


@dataclass
class Truth:
    """What a crawler has really done, by its own count: the first `done` items of its plan.

    `state` is the resume state that it left, `waits` counts its waits by reason, `complaints` are what it saw that must
    not happen.
    """

    status: str = "queued"
    done: int = 0
    items_by_type: Counter[str] = field(default_factory=Counter)
    last_id: str | None = None
    state: Any = None
    total: int | None = None
    waits: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def process(self, plan: Plan, number: int) -> None:
        """Do an item, maybe once more; Broken is raised where items were left out before it."""
        if number > self.done:
            raise Broken(f"began at {plan.item(number)[1]} when only {self.done} items had been done")
        # An item that is done once more is where the crawl is now, too.
        kind, self.last_id = plan.item(number)
        if number == self.done:
            self.done += 1
            self.items_by_type[kind] += 1

    def discover(self, plan: Plan, number: int) -> None:
        """Find the first areas of a plan; those that were found before count once."""
        found = Counter(f"{area['type']}s" for area in plan.areas[:number])
        for kind, count in found.items():
            self.items_by_type[kind] = max(self.items_by_type[kind], count)

    def has_found(self, plan: Plan) -> bool:
        """Return whether it has found all areas of a plan."""
        return all(self.items_by_type[f"{kind}s"] == plan.areas_of(kind) for kind in ("group", "project"))

    def forget(self, kept: Mapping[str, int]) -> None:
        """Forget the areas whose report was lost with the process: they will be found again."""
        for kind in ("groups", "projects"):
            self.items_by_type[kind] = min(self.items_by_type[kind], kept.get(kind, 0))

    def rewind(self, plan: Plan, number: int, last_id: str | None) -> None:
        """Go back to an item: those from it on do not count any more. `last_id`: where the crawl goes on."""
        while self.done > number:
            self.done -= 1
            self.items_by_type[plan.item(self.done)[0]] -= 1
        self.last_id = last_id


class Crawler:
    """A crawler of one job, apart from how it reports. Ended is raised by its methods when the run is over."""

    #: Whether it speaks the plain protocol of the original system.
    old = False

    def __init__(self, site: Site, plan: Plan, dice: Random, mischief: Mischief) -> None:
        self.site, self.plan, self.dice, self.mischief = site, plan, dice, mischief
        self.truth = Truth()
        self.doing = "starting"
        self.takes_commands = False
        self.over = False
        self._met: set[int] = set()

    @property
    def processed(self) -> int:
        """What `processedItems` must be: not given where items are counted by keys, because only the server knows."""
        return 0 if self.plan.style == "keys" and not self.old else self.truth.done

    def run(self) -> None:
        """Crawl until the job ends, or the run does."""
        raise NotImplementedError

    def settle(self) -> None:
        """Deliver what is not delivered yet."""

    def work(self, page: Page) -> None:
        """Take the time that a page takes."""
        self.doing = f"crawling {page.type}" if page.operation == "branch_crawling" else f"collecting {page.type}"
        self.wait((page.last - page.first + 1) / self.site.rate)

    def wait(self, seconds: float) -> None:
        """Wait for about so long."""
        if self.site.ending.wait(seconds * self.dice.uniform(0.7, 1.3)):
            raise Ended

    def rest(self, doing: str) -> None:
        """Wait until something is repaired, and show that meanwhile."""
        self.doing = doing
        self.wait(self.site.repair)

    def turn(self, page: Page) -> Turn | None:
        """Return what happens before a page; each turn comes once."""
        if page.first in self._met or page.first not in self.plan.turns:
            return None
        self._met.add(page.first)
        return self.plan.turns[page.first]

    def error(self, page: Page) -> tuple[str, str, str]:
        """Draw what goes wrong: a type, a message, a code."""
        kind, message, code = self.dice.choice(ERRORS)
        return kind, message.format(page=page.first // self.plan.page_size + 1), code

    def credential(self) -> Iterator[tuple[Literal["expiry", "renewal", "resumed"], dict[str, str]]]:
        """Let a credential expire and be renewed; yield what is to be reported of it."""
        about = {"type": "token", "providerId": self.plan.owner, "instanceType": "gitlab"}
        expired = "401 Unauthorized: the token has expired"
        yield "expiry", {**about, "severity": "critical", "errorType": "expired", "message": expired}
        self.rest("credential expired")
        yield "renewal", {**about, "severity": "warning", "message": "a new token was asked for"}
        self.rest("credential is renewed")
        yield "resumed", {**about, "severity": "info", "message": "the new token works"}

    def state(self) -> dict[str, Any]:
        """Return the resume state: where the crawl is."""
        return {"after": self.truth.last_id, "done": self.truth.done}
