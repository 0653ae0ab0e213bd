"""A crawler with the client: it is paused, cancelled, killed and restarted, and goes on where the client says."""

import time
from collections import Counter
from pathlib import Path
from random import Random

from tallymark.client import Job, ProgressClient
from tallymark.client.transport import HttpTransport
from tallymark.simulate.chaos import ChaosTransport, Mischief
from tallymark.simulate.crawler import REASONS, Broken, Crawler, Ended, Site
from tallymark.simulate.plan import Page, Plan

#: Areas are reported in parts of so many.
_AREAS_AT_ONCE = 12
#: A crawler that counts by keys goes back by so many items when it resumes: what was counted is not counted again, by
#: its spool, and where that is lost by the server.
_OVERLAP = 7
#: The client never gives up: at the end the server is to have everything.
_RETRIES = 1_000_000
#: Which part of the crawls looks for areas again when resumed.
_REDISCOVER = 0.3


class Killed(Exception):  # noqa: N818 - reads as what it is in an except clause
    """The crawler's process is no more."""


class Failed(Exception):  # noqa: N818
    """Stands for any error that ends a crawl."""


class NewCrawler(Crawler):
    """Works on one job, with one client after the other."""

    def __init__(self, site: Site, plan: Plan, dice: Random, mischief: Mischief, spool: Path) -> None:
        """Keep updates in a directory of its own, `spool`."""
        super().__init__(site, plan, dice, mischief)
        self._spool = spool / "0"
        self._kills = 0
        self._killed = False
        #: Whether it moves to another machine, and so to an empty spool; and whether it ever did.
        self._moves = self._moved = False
        #: How many items were done when the current run began.
        self._began_at = 0
        self._again = True

    def run(self) -> None:
        """Crawl, in as many runs as it takes; each delivers all it has."""
        while self._again:
            self._again = False
            self._run_once()

    def _run_once(self) -> None:
        transport = ChaosTransport(HttpTransport(self.site.url, self.site.token), self.mischief)
        client = ProgressClient(
            self.site.url, token=self.site.token, spool=self._spool, retries=_RETRIES, transport=transport
        )
        attributes = {"command": "crawl", "account": self.plan.owner, "crawler": "client"}
        job = client.job(self.plan.job_id, attributes=attributes)
        try:
            self._crawl(job)
        except Killed:
            self._die(transport)
        finally:
            self.takes_commands = False
            # A killed crawler sends nothing any more: only its thread is left, and ends by itself.
            client.close(timeout=0.01 if self._killed else 5.0)
        if self._again:
            # Somebody restarts it; at once when the run is over.
            self.site.ending.wait(self.site.repair)

    def _crawl(self, job: Job) -> None:
        truth = self.truth
        # Not in a `with`: a killed process leaves no block.
        job.start()
        try:
            start = self._begin(job)
            self._discover(job)
            for page in self.plan.pages(start):
                self._turn(job, page)
                if job.should_stop:
                    break
                self._collect(job, page)
            self.takes_commands = False
            if truth.done < self.plan.total and job.should_stop:
                truth.status = "cancelled" if job.command == "cancel" else "paused"
                self._again = truth.status == "paused"
                self.doing = f"{truth.status} by an operator"
                # A crawler that has seen a command and leaves is taken to obey it.
                job.__exit__(None, None, None)
            else:
                self.doing = "finalizing"
                job.stage("finalization", operation="finalization")
                truth.status, truth.state = "finished", None
                job.complete(message=f"all {truth.done} items are done")
        except Ended:
            self._pause(job)
        except Failed as error:
            truth.status = "failed"
            job.__exit__(type(error), error, error.__traceback__)
        self._deliver(job)

    def _begin(self, job: Job) -> int:
        """Resume, and check that it is at the right place; return the number of the item to go on with."""
        plan, truth = self.plan, self.truth
        resume = job.resume
        number = plan.after(resume.last_processed_id)
        if self._killed:
            # What it had not reported is done once more.
            self._killed = False
            if number > truth.done:
                raise Broken(f"resumes after item {number}, but only {truth.done} were done before it was killed")
            counted = sum(resume.items_by_type.get(kind, 0) for kind in plan.counts) if plan.style == "keys" else number
            # The cursor is behind only while items are done once more.
            if number != counted and not number < counted <= self._began_at:
                raise Broken(f"resumes after item {number}, but {counted} items are counted")
            truth.rewind(plan, counted, resume.last_processed_id)
            if counted <= self._began_at:
                # Areas are reported before the items of a run, so they may be lost only where these are.
                truth.forget(resume.items_by_type)
            truth.state = resume.state
        mine = (truth.last_id, truth.state, self.processed, dict(+truth.items_by_type))
        theirs = (resume.last_processed_id, resume.state, resume.processed_items, dict(+Counter(resume.items_by_type)))
        if mine != theirs:
            raise Broken(f"resumes at {theirs}, by the {resume.source}, but was at {mine}")
        job.total(plan.total)
        truth.total = plan.total
        self._began_at = truth.done
        self.takes_commands = True
        return max(number - _OVERLAP, 0) if plan.style == "keys" else number

    def _discover(self, job: Job) -> None:
        if self.truth.has_found(self.plan) and self.truth.done and self.dice.random() > _REDISCOVER:
            return
        self.doing = "discovering"
        job.stage("discovery", operation="discovery")
        for first in range(0, len(self.plan.areas), _AREAS_AT_ONCE):
            self.wait(min(self.site.repair, 0.5))
            job.discovered(self.plan.areas[first : first + _AREAS_AT_ONCE])
            self.truth.discover(self.plan, first + _AREAS_AT_ONCE)

    def _collect(self, job: Job, page: Page) -> None:
        plan, truth = self.plan, self.truth
        if plan.item(page.first)[1].endswith("-1"):
            job.stage(f"collecting {page.type}", operation=page.operation, data_type=page.type)
            truth.state = self.state()
            job.checkpoint(truth.state)
        self.work(page)
        numbers = range(page.first, page.last + 1)
        if plan.asks:
            job.advance("requests", processed=0)
            truth.items_by_type["requests"] += 1
        if plan.style == "pages":
            for number in numbers:
                truth.process(plan, number)
            job.advance(page.type, len(numbers), last_id=plan.item(page.last)[1])
        elif plan.style == "keys":
            for number in numbers:
                item = plan.item(number)[1]
                counts = job.advance(page.type, key=item, last_id=item)
                # A new client does not know which items were counted; only the server does.
                if counts == (number < truth.done) and not self._moved:
                    raise Broken(f"{item} was {'' if number < truth.done else 'not '}counted a second time")
                truth.process(plan, number)
        else:
            # An iterator has no length: the total of the job was reported once for all types.
            for number in job.track(iter(numbers), type=page.type, id=lambda n: plan.item(n)[1], bar=False):
                truth.process(plan, number)

    def _turn(self, job: Job, page: Page) -> None:
        """Do what the plan has before a page."""
        turn = self.turn(page)
        if turn == "wait":
            reason = self.dice.choice(REASONS)
            self.truth.waits[reason] += 1
            with job.waiting(self.site.repair, reason):
                self.rest(f"waiting: {reason}")
            return
        if turn in {"kill", "move"}:
            self._killed = self._again = True
            self._moves = turn == "move"
            self.mischief.note("killed")
            self.doing = "killed"
            raise Killed
        if turn == "pause":
            self._again = True
            raise Ended
        if turn == "credential":
            for event, members in self.credential():
                job.credential(event, **members)
        elif turn is not None:
            kind, message, code = self.error(page)
            error = type(kind, (Failed,), {"__module__": "gitlab.exceptions"})(message)
            if turn == "error":
                job.error(error, code=code, page=page.first)
                return
            self._again = turn == "retry"
            self.doing = "failed"
            raise error

    def _pause(self, job: Job) -> None:
        self.doing = "pausing"
        self.truth.status, self.truth.state = "paused", self.state()
        job.pause(self.truth.state)

    def _die(self, transport: ChaosTransport) -> None:
        """Leave nothing but the disk as it is now, as a killed process does."""
        transport.cut()
        self._kills += 1
        left, self._spool = self._spool, self._spool.with_name(str(self._kills))
        self._spool.mkdir(parents=True)
        if self._moves:
            self._moves, self._moved = False, True
            self.mischief.note("moved")
            # What is on its way arrives before the other machine asks where to go on.
            transport.wait_for_answers()
            return
        # The killed crawler's thread may be writing a last update, which is there in full or not at all.
        while (files := _contents(left)) != _contents(left):
            time.sleep(0.01)
        for name, content in files.items():
            (self._spool / name).write_bytes(content)

    def _deliver(self, job: Job) -> None:
        """Wait until the server has everything."""
        if job.undelivered:
            self.doing = f"{self.doing}, delivering"
        while job.undelivered:
            if self.site.abandoned.wait(0.05):
                raise Broken(f"{job.undelivered} updates are not at the server")


def _contents(directory: Path) -> dict[str, bytes]:
    """Read all files, which another thread may remove meanwhile."""
    found = {}
    for path in sorted(directory.iterdir()):
        try:
            found[path.name] = path.read_bytes()
        except FileNotFoundError:
            continue
    return found
