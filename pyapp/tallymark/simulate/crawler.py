"""What all crawlers have in common: a plan, the truth of what they did, and people who look on."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from tallymark.simulate.chaos import Mischief
from tallymark.simulate.plan import Page, Plan, Turn

#: How long people and machines take to mend something, as a part of the whole run; and at most, in seconds.
_MENDING_PART, _MENDING_MOST = 0.03, 3.0

#: What crawlers meet: the type, the message, the code.
ERRORS = (
    ("ConnectionResetError", "connection reset by peer while reading page {page}", "ECONNRESET"),
    ("ReadTimeout", "GET /api/v4/projects/{page}/issues timed out after 30 s", "ETIMEDOUT"),
    ("RateLimited", "429 Too Many Requests, retry after {page} s", "429"),
    ("GraphQLError", "Field 'mergeRequests' exceeded the complexity limit of 250 on page {page}", "COMPLEXITY"),
    ("JSONDecodeError", "Expecting value: line 1 column {page}", "PARSE"),
)


@dataclass(frozen=True)
class Site:
    """Where and how all crawlers of a run work.

    Attributes:
        url: The server's address.
        token: One that may write.
        rate: Items a second of each crawler.
        seconds: How long the run is meant to last.
        ending: Set when it is over: whoever is at work then pauses, and leaves.
        abandoned: Set when nobody waits for updates any more that the server has not got by then.
        chaos: Whether the network is a bad one.
    """

    url: str
    token: str
    rate: float
    seconds: float
    ending: threading.Event
    abandoned: threading.Event
    chaos: bool

    @property
    def mending(self) -> float:
        """About how many seconds it takes to mend something."""
        return min(self.seconds * _MENDING_PART, _MENDING_MOST)


class Ended(Exception):  # noqa: N818 - reads as what it is in an except clause
    """The run is over."""


class Broken(Exception):  # noqa: N818 - reads as what it is in an except clause
    """A crawler saw something that must not be. The text says what."""


@dataclass
class Truth:
    """What a crawler has really done, by its own count.

    Attributes:
        status: The status in which it left its job.
        done: How many items, which are the first so many of its plan.
        items_by_type: The same, by type, and what else it counts.
        last_id: The id of the last item.
        state: The resume state that it left.
        total: The total that it told.
        complaints: What it saw that must not be.
    """

    status: str = "queued"
    done: int = 0
    items_by_type: Counter[str] = field(default_factory=Counter)
    last_id: str | None = None
    state: Any = None
    total: int | None = None
    complaints: list[str] = field(default_factory=list)

    def process(self, plan: Plan, number: int) -> None:
        """Do an item; again, if it was done before.

        Args:
            plan: Whose item it is.
            number: Its number.

        Raises:
            Broken: Items were left out before it.
        """
        if number > self.done:
            raise Broken(f"began at {plan.item(number)[1]} when only {self.done} items had been done")
        if number == self.done:
            kind, self.last_id = plan.item(number)
            self.done += 1
            self.items_by_type[kind] += 1

    def discover(self, plan: Plan, number: int) -> None:
        """Find the first areas of a plan; those that were found before count once.

        Args:
            plan: Whose areas they are.
            number: How many.
        """
        found = Counter(f"{area['type']}s" for area in plan.areas[:number])
        for kind, count in found.items():
            self.items_by_type[kind] = max(self.items_by_type[kind], count)

    def rewind(self, plan: Plan, number: int) -> None:
        """Go back to an item: those from it on are done once more.

        Args:
            plan: Whose items they are.
            number: The item's number.
        """
        while self.done > number:
            self.done -= 1
            self.items_by_type[plan.item(self.done)[0]] -= 1
        self.last_id = plan.item(number - 1)[1] if number else None


class Crawler(Protocol):
    """A crawler: it works on one job until that ends, or the run does."""

    base: "Base"

    def run(self) -> None:
        """Crawl."""

    def settle(self) -> None:
        """Deliver what is not delivered yet."""


class Base:
    """The part of a crawler that has nothing to do with how it reports."""

    def __init__(self, site: Site, plan: Plan, dice: Random, mischief: Mischief, *, old: bool) -> None:
        """Make it.

        Args:
            site: Where and how it works.
            plan: What it will find.
            dice: Where chance comes from.
            mischief: What happens to its requests.
            old: Whether it speaks the plain protocol.
        """
        self.site, self.plan, self.dice, self.mischief, self.old = site, plan, dice, mischief, old
        self.truth = Truth()
        self.doing = "starting"
        self.takes_commands = False
        self.over = False
        self._met: set[int] = set()

    def work(self, page: Page) -> None:
        """Take the time that a page takes.

        Args:
            page: The page.

        Raises:
            Ended: The run is over.
        """
        self.doing = f"crawling {page.type}" if page.operation == "branch_crawling" else f"collecting {page.type}"
        self.wait((page.last - page.first + 1) / self.site.rate)

    def wait(self, seconds: float) -> None:
        """Wait, more or less.

        Args:
            seconds: About how long.

        Raises:
            Ended: The run is over.
        """
        if self.site.ending.wait(seconds * self.dice.uniform(0.7, 1.3)):
            raise Ended

    def rest_or_end(self) -> None:
        """Wait until somebody has restarted the crawler; at once when the run is over."""
        self.site.ending.wait(self.site.mending)

    def rest(self, doing: str) -> None:
        """Wait until somebody has mended something.

        Args:
            doing: What people are told meanwhile.

        Raises:
            Ended: The run is over.
        """
        self.doing = doing
        self.wait(self.site.mending)

    def turn(self, page: Page) -> Turn | None:
        """Tell what happens before a page; each turn comes once.

        Args:
            page: The page.
        """
        if page.first in self._met or page.first not in self.plan.turns:
            return None
        self._met.add(page.first)
        return self.plan.turns[page.first]

    def error(self, page: Page) -> tuple[str, str, str]:
        """Draw what goes wrong: a type, a message, a code."""
        kind, message, code = self.dice.choice(ERRORS)
        return kind, message.format(page=page.first // self.plan.page_size + 1), code

    def state(self) -> dict[str, Any]:
        """Give the resume state: where the crawl is."""
        return {"after": self.truth.last_id, "done": self.truth.done}
