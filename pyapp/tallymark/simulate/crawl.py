"""A crawler that uses the client: it is paused, cancelled, killed and restarted, and goes on where the client says."""

import time
from collections import Counter
from pathlib import Path
from random import Random

from tallymark.client import Job, ProgressClient
from tallymark.client.transport import HttpTransport
from tallymark.simulate.chaos import ChaosTransport, Mischief
from tallymark.simulate.crawler import Base, Broken, Ended, Site
from tallymark.simulate.plan import Page, Plan

#: Areas are told in parts of so many.
_AREAS_AT_ONCE = 12
#: Who counts by keys goes back by so many items when it resumes: what was counted is not counted again.
_OVERLAP = 7
#: The client never gives up: at the end all is to be at the server.
_RETRIES = 1_000_000
#: How many crawls look for areas anew when they are resumed.
_REDISCOVER = 0.3


class Killed(Exception):  # noqa: N818 - reads as what it is in an except clause
    """The crawler's process is no more."""


class Failed(Exception):  # noqa: N818 - stands for any error of a crawl
    """What ends a crawl."""


class NewCrawler:
    """Works on one job, with one client after the other."""

    def __init__(self, site: Site, plan: Plan, dice: Random, mischief: Mischief, spool: Path) -> None:
        """Make it.

        Args:
            site: Where and how it works.
            plan: What it will find.
            dice: Where chance comes from.
            mischief: What happens to its requests.
            spool: A directory of its own.
        """
        self.base = Base(site, plan, dice, mischief, old=False)
        self._spool = spool / "0"
        self._kills = 0
        self._killed = False
        self._again = True

    def run(self) -> None:
        """Crawl, in as many runs as it takes."""
        while self._again:
            self._again = False
            self._run_once()

    def settle(self) -> None:
        """Do nothing: each run delivers all it has."""

    def _run_once(self) -> None:
        base = self.base
        transport = ChaosTransport(HttpTransport(base.site.url, base.site.token), base.mischief)
        client = ProgressClient(
            base.site.url, token=base.site.token, spool=self._spool, retries=_RETRIES, transport=transport
        )
        attributes = {"command": "crawl", "account": base.plan.owner, "crawler": "client"}
        job = client.job(base.plan.job_id, attributes=attributes)
        try:
            self._crawl(job)
        except Killed:
            self._die(transport)
        finally:
            base.takes_commands = False
            # What was killed sends nothing any more: only its thread is left, and ends by itself.
            client.close(timeout=0.01 if self._killed else 5.0)
        if self._again:
            base.rest_or_end()

    def _crawl(self, job: Job) -> None:
        base, truth = self.base, self.base.truth
        # Not in a `with`: who is killed leaves no block.
        job.start()
        try:
            start = self._begin(job)
            self._discover(job)
            for page in base.plan.pages(start):
                self._turn(job, page)
                if job.should_stop:
                    break
                self._collect(job, page)
            base.takes_commands = False
            if truth.done < base.plan.total and job.should_stop:
                truth.status = "cancelled" if job.command == "cancel" else "paused"
                self._again = truth.status == "paused"
                base.doing = f"{truth.status} by an operator"
                # Who has seen the command and leaves is taken to obey it.
                job.__exit__(None, None, None)
            else:
                base.doing = "finalizing"
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
        """Take up what was done before, and see that it is right; return where to go on."""
        base, plan, truth = self.base, self.base.plan, self.base.truth
        told = job.resume
        number = plan.after(told.last_processed_id)
        if self._killed:
            # What it had not told anybody is done once more.
            self._killed = False
            if number > truth.done:
                raise Broken(f"resumes after item {number}, but only {truth.done} were done before it was killed")
            truth.rewind(plan, number)
            truth.state = told.state
        mine = (truth.last_id, truth.state, truth.done, dict(+truth.items_by_type))
        theirs = (told.last_processed_id, told.state, told.processed_items, dict(+Counter(told.items_by_type)))
        if mine != theirs:
            raise Broken(f"resumes at {theirs}, by the {told.source}, but was at {mine}")
        job.total(plan.total)
        truth.total = plan.total
        base.takes_commands = True
        return max(number - _OVERLAP, 0) if plan.style == "keys" else number

    def _discover(self, job: Job) -> None:
        base, truth = self.base, self.base.truth
        if truth.done and base.dice.random() > _REDISCOVER:
            return
        base.doing = "discovering"
        job.stage("discovery", operation="discovery")
        for first in range(0, len(base.plan.areas), _AREAS_AT_ONCE):
            base.wait(min(base.site.mending, 0.5))
            job.discovered(base.plan.areas[first : first + _AREAS_AT_ONCE])
            truth.discover(base.plan, first + _AREAS_AT_ONCE)

    def _collect(self, job: Job, page: Page) -> None:
        base, plan, truth = self.base, self.base.plan, self.base.truth
        if plan.item(page.first)[1].endswith("-1"):
            job.stage(f"collecting {page.type}", operation=page.operation, data_type=page.type)
            truth.state = base.state()
            job.checkpoint(truth.state)
        base.work(page)
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
                if job.advance(page.type, key=item, last_id=item) == (number < truth.done):
                    raise Broken(f"{item} was {'' if number < truth.done else 'not '}counted a second time")
                truth.process(plan, number)
        else:
            # An iterator has no length: the total of the job is told once for all types.
            for number in job.track(iter(numbers), type=page.type, id=lambda n: plan.item(n)[1], bar=False):
                truth.process(plan, number)

    def _turn(self, job: Job, page: Page) -> None:
        """Let happen what happens before a page."""
        base, turn = self.base, self.base.turn(page)
        if turn == "kill":
            self._kill()
        elif turn == "pause":
            self._again = True
            raise Ended
        elif turn == "credential":
            self._credential(job)
        elif turn is not None:
            kind, message, code = base.error(page)
            error = type(kind, (Failed,), {"__module__": "gitlab.exceptions"})(message)
            if turn == "error":
                job.error(error, code=code, page=page.first)
                return
            self._again = turn == "retry"
            base.doing = "failed"
            raise error

    def _credential(self, job: Job) -> None:
        about = {"type": "token", "providerId": self.base.plan.owner, "instanceType": "gitlab"}
        said = {"severity": "critical", "errorType": "expired", "message": "401 Unauthorized: the token has expired"}
        job.credential("expiry", **about, **said)
        self.base.rest("credential expired")
        job.credential("renewal", **about, severity="warning", message="a new token was asked for")
        self.base.rest("credential is renewed")
        job.credential("resumed", **about, severity="info", message="the new token works")

    def _pause(self, job: Job) -> None:
        truth = self.base.truth
        self.base.doing = "pausing"
        truth.status, truth.state = "paused", self.base.state()
        job.pause(truth.state)

    def _kill(self) -> None:
        self._killed = self._again = True
        self.base.mischief.note("killed")
        self.base.doing = "killed"
        raise Killed

    def _die(self, transport: ChaosTransport) -> None:
        """Leave nothing but the disk as it is now, as a process that is killed does."""
        transport.cut()
        self._kills += 1
        left, self._spool = self._spool, self._spool.with_name(str(self._kills))
        self._spool.mkdir(parents=True)
        # The dead crawler's thread may be writing a last update: that is there in full or not at all.
        while (files := _contents(left)) != _contents(left):
            time.sleep(0.01)
        for name, content in files.items():
            (self._spool / name).write_bytes(content)

    def _deliver(self, job: Job) -> None:
        """Wait until the server has all."""
        if job.undelivered:
            self.base.doing = f"{self.base.doing}, delivering"
        while job.undelivered:
            if self.base.site.abandoned.wait(0.05):
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
