"""The crowd: so many crawlers at work at once, each in a thread, and an operator who gives them commands."""

import itertools
import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Self

from tallymark.simulate.chaos import Mischief
from tallymark.simulate.crawler import Crawler, Site
from tallymark.simulate.new_crawler import NewCrawler
from tallymark.simulate.old_crawler import OldCrawler
from tallymark.simulate.plan import draw_plan
from tallymark.simulate.server import Server
from tallymark.simulate.verdict import Verdict, judge
from tallymark.terminal.text import count

_log = logging.getLogger("tallymark.simulate")

#: One in so many is an old crawler.
_OLD_ONE_IN = 4
#: How long a job's items are meant to take, as a part of the run; and of what is left of it.
#: What happens on the way adds to that.
_SHORTEST, _LONGEST, _OF_WHAT_IS_LEFT = 0.15, 0.6, 0.65
#: No job is begun when less than this part of the run is left.
_TOO_LATE = 0.12
#: How often the operator gives a command, as a part of the run; at most so many seconds; and how often it is to cancel.
_COMMAND_PART, _COMMAND_MOST, _CANCELS = 0.08, 4.0, 0.25
#: Crawlers begin one after the other within this part of the run, at most so many seconds.
_ARRIVAL_PART, _ARRIVAL_MOST = 0.1, 4.0
#: For how many seconds threads are waited for at the end.
_PATIENCE = 3.0
#: For how many seconds updates are waited for at the end, and for how many of them the network is still a bad one:
#: a client that failed often waits long before each new try.
_SETTLE_SECONDS, _STILL_BAD_SECONDS = 60.0, 3.0
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Options:
    """So many jobs at once, whose ids begin with `prefix`, for so many seconds, each with `rate` items a second.

    The same seed draws the same crawls. With `chaos` the network is a bad one.
    """

    jobs: int
    seconds: float
    rate: float
    prefix: str
    seed: int
    chaos: bool


class Crowd:
    """Crawlers at work on a server, with a token that may do everything; a context manager.

    `crawlers` are all there were, `at_work` those at work now, one a seat.
    """

    def __init__(self, url: str, token: str, options: Options) -> None:
        """Start nothing yet."""
        self.options = options
        self.server = Server(url, token)
        self.crawlers: list[Crawler] = []
        self.at_work: list[Crawler | None] = [None] * options.jobs
        self._site = Site(url, token, options.rate, options.seconds)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        #: So that another run with the same seed has other jobs.
        self._run = secrets.token_hex(2)
        self._seats = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(options.jobs)]
        self._operator = threading.Thread(target=self._command, daemon=True)
        self._began = 0.0
        self._spool = tempfile.TemporaryDirectory(prefix="tallymark-simulate-", ignore_cleanup_errors=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        for thread in (*self._seats, self._operator):
            thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.end()
        self.abandon()
        give_up = time.monotonic() + _PATIENCE
        for thread in (*self._seats, self._operator):
            thread.join(max(give_up - time.monotonic(), 0))
        self.server.close()
        self._spool.cleanup()

    @property
    def elapsed(self) -> float:
        """For how many seconds it has worked."""
        return time.monotonic() - self._began

    @property
    def busy(self) -> int:
        """How many crawlers have not left yet."""
        return sum(thread.is_alive() for thread in self._seats)

    def work(self, show: Callable[[str], None], wait: Callable[[float], bool]) -> bool:
        """Let them work until the time is over, or `wait(seconds)` returns True: then return True.

        `show` is called a few times a second with what the run is at.
        """
        stopped = False
        while self.busy and not stopped and (left := self._left()) > 0:
            show(f"{left:.0f} s to go" if left >= 1 else "nearly over")
            stopped = wait(min(_LOOK_SECONDS, left))
        self.end()
        return stopped

    def settle(self, show: Callable[[str], None], wait: Callable[[float], bool]) -> Verdict:
        """Wait until all is delivered, read all jobs back, and return the verdict.

        What is not delivered after a minute, or when `wait` returns True, is in the verdict.
        """
        began = time.monotonic()
        while (busy := self.busy) and time.monotonic() < began + _SETTLE_SECONDS:
            show(f"settling, {count(busy, 'crawler')} still deliver{'s' if busy == 1 else ''}")
            if time.monotonic() > began + _STILL_BAD_SECONDS:
                self.calm()
            if wait(_LOOK_SECONDS):
                break
        self.abandon()
        return judge(
            self.server, self.crawlers, lambda so_far: show(f"reading back, {so_far.checked} of {so_far.jobs}")
        )

    def end(self) -> None:
        """Tell the crawlers that the run is over: they pause, deliver what they have, and leave."""
        self._site.ending.set()

    def calm(self) -> None:
        """Make the network a good one from now on."""
        for crawler in self.crawlers:
            crawler.mischief.active = False

    def abandon(self) -> None:
        """Give up updates that the server has not got."""
        self._site.abandoned.set()

    def _left(self) -> float:
        return self.options.seconds - self.elapsed

    def _work(self, seat: int) -> None:
        options = self.options
        arrival = min(options.seconds * _ARRIVAL_PART, _ARRIVAL_MOST)
        if self._site.ending.wait(arrival * seat / options.jobs):
            return
        while not self._site.ending.is_set() and self._left() > options.seconds * _TOO_LATE:
            crawler = self._hire(seat)
            try:
                crawler.run()
                crawler.settle()
            except Exception as error:  # noqa: BLE001 - whatever it is, it must be in the verdict
                _log.debug("crawler of %s", crawler.plan.job_id, exc_info=True)
                crawler.truth.complaints.append(f"{type(error).__name__}: {error}")
            crawler.over = True
            crawler.doing = crawler.truth.status

    def _hire(self, seat: int) -> Crawler:
        """Make a crawler for the next job."""
        options = self.options
        with self._lock:
            number = next(self._numbers)
        dice = Random(f"{options.seed} {number}")  # noqa: S311 - no secret
        lasts = min(options.seconds * dice.uniform(_SHORTEST, _LONGEST), max(self._left(), 0) * _OF_WHAT_IS_LEFT)
        plan = draw_plan(dice, f"{options.prefix}{self._run}-{number:03}", max(int(lasts * options.rate), 10))
        mischief = Mischief(Random(f"{options.seed} {number} chaos"), active=options.chaos)  # noqa: S311
        crawler: Crawler
        if number % _OLD_ONE_IN == 0:
            crawler = OldCrawler(self._site, plan, dice, mischief)
        else:
            crawler = NewCrawler(self._site, plan, dice, mischief, Path(self._spool.name) / str(number))
        with self._lock:
            self.crawlers.append(crawler)
            self.at_work[seat] = crawler
        return crawler

    def _command(self) -> None:
        """Ask crawlers to pause or to stop, now and then."""
        dice = Random(f"{self.options.seed} operator")  # noqa: S311
        pause = min(self.options.seconds * _COMMAND_PART, _COMMAND_MOST)
        while not self._site.ending.wait(pause):
            with self._lock:
                able = [crawler for crawler in self.at_work if crawler is not None and crawler.takes_commands]
            if able:
                chosen = dice.choice(able)
                # One command for each of its runs: it must know which one it obeys.
                chosen.takes_commands = False
                command = "cancel" if dice.random() < _CANCELS else "pause"
                if self.server.command(chosen.plan.job_id, command):
                    chosen.mischief.note("commands")
