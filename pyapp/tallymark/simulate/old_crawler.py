"""A crawler without the client, as in the original system: plain protocol, legacy names, requests blindly repeated."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tallymark.client.transport import JOBS_PATH, PROGRESS_PATH, HttpTransport, Unreachable
from tallymark.simulate.chaos import Mischief
from tallymark.simulate.crawler import Broken, Crawler, Ended, Site
from tallymark.simulate.plan import Page, Plan

_TIMEOUT = 15.0
#: Seconds before a request is repeated, and at most.
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
#: An update is sent after so many items.
_EVERY = 40
#: Which part of the old crawlers sends running totals as counts by type.
_CUMULATIVE = 0.35
_SERVER_ERROR = 500


class OldCrawler(Crawler):
    """Its updates have no ids; some are overtaken by newer ones."""

    old = True

    def __init__(self, site: Site, plan: Plan, dice: Random, mischief: Mischief) -> None:
        super().__init__(site, plan, dice, mischief)
        self._http = HttpTransport(site.url, site.token)
        self._cumulative = dice.random() < _CUMULATIVE
        self._unsent: Counter[str] = Counter()
        self._held: list[list[Any]] = []
        self._last = datetime.fromtimestamp(0, UTC)

    def run(self) -> None:
        """Crawl."""
        truth = self.truth
        try:
            self._register()
            self._report("started", operationType="discovery", total=self.plan.total)
            truth.total = self.plan.total
            self._discover()
            for page in self.plan.pages(0):
                if self._turn(page):
                    return
                self.work(page)
                for number in range(page.first, page.last + 1):
                    truth.process(self.plan, number)
                    self._unsent[page.type] += 1
                if self._unsent.total() >= _EVERY or truth.done == self.plan.total:
                    self._report("processing", **self._counts(page))
            self.doing = "finalizing"
            self._end("completed", operationType="finalization", stage="finalization", message="all done")
        except Ended:
            truth.state = self.state()
            self._end("paused", progress=truth.state)

    def settle(self) -> None:
        """Deliver the updates that are still held back."""
        while self._held:
            self._deliver(self._held.pop(0)[1], late=True)
        self._http.close()

    def _discover(self) -> None:
        groups, projects = self.plan.areas_of("group"), self.plan.areas_of("project")
        self.doing = "discovering"
        # Running totals, as the old names are.
        for part in (0.5, 1.0):
            self.wait(min(self.site.repair, 1.0))
            seen = {"groups": int(groups * part), "projects": int(projects * part)}
            self._report(
                "processing", stage="discovery", operationType="discovery", groupCount=seen["groups"],
                projectCount=seen["projects"], groupTotal=groups, projectTotal=projects,
            )  # fmt: skip
            self.truth.items_by_type.update({kind: seen[kind] - self.truth.items_by_type[kind] for kind in seen})

    def _turn(self, page: Page) -> bool:
        """Do what the plan has before a page; return whether the crawl is over."""
        turn = self.turn(page)
        if turn in {"error", "fail", "retry", "kill", "move"}:
            kind, message, code = self.error(page)
            error = {"type": kind, "message": message, "code": code, "context": {"lastProcessedId": self.truth.last_id}}
            if turn == "error":
                self._report("processing", error=error)
                return False
            self._end("failed", error=error)
            if turn == "fail":
                return True
            self.rest("failed, to be restarted")
            self._report("started", message="restarted")
        elif turn == "pause":
            self.truth.state = self.state()
            self._end("paused", progress=self.truth.state)
            self.rest("paused")
            self._report("started", message="resumed")
        elif turn == "credential":
            for kind, members in self.credential():
                self._report(f"credential_{kind}", credentialStatus=members)
        elif turn == "wait":
            # The original protocol has no word for it.
            self.rest("waiting for a rate limit")
        return False

    def _end(self, status: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Report a status in which the crawler may leave, and what it has not counted yet."""
        self._report(status, **self._counts(None), **members)
        truth = self.truth
        truth.status = "finished" if status == "completed" else status
        if truth.status == "finished":
            truth.state = None

    def _counts(self, page: Page | None) -> dict[str, Any]:
        members = dict[str, Any]()
        if page is not None:
            members = {"stage": self.doing, "currentDataType": page.type, "operationType": page.operation}
        if self._unsent:
            truth = self.truth
            found = {kind: truth.items_by_type[kind] for kind in self.plan.counts if truth.items_by_type[kind]}
            members["itemsByType"] = found if self._cumulative else dict(self._unsent)
            members |= {"processed": truth.done, "total": self.plan.total, "lastProcessedId": truth.last_id}
            self._unsent.clear()
        return members

    def _register(self) -> None:
        attributes: dict[str, Any] = {"command": "crawl", "account": self.plan.owner, "crawler": "old"}
        if self._cumulative:
            attributes["counting"] = "cumulative"
        self._post(JOBS_PATH, json.dumps({"taskId": self.plan.job_id, "attributes": attributes}), updates=0)

    def _report(self, status: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Send an update, or hold it back until newer ones have overtaken it."""
        # Milliseconds, as old clocks have them; no two are the same.
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._last = max(now, self._last + timedelta(milliseconds=1))
        timestamp = self._last.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = json.dumps({"taskId": self.plan.job_id, "status": status, "timestamp": timestamp, **members})
        self.mischief.note_updates([timestamp])
        lateness = self.mischief.lateness() if status == "processing" else 0
        if lateness:
            self._held.append([lateness, body])
            return
        self._deliver(body, late=False)
        for held in self._held:
            held[0] -= 1
        due = [held for held in self._held if held[0] <= 0]
        self._held = [held for held in self._held if held[0] > 0]
        for _, old in due:
            self._deliver(old, late=True)

    def _deliver(self, body: str, *, late: bool) -> None:
        self._post(PROGRESS_PATH, body, updates=1)
        if late:
            self.mischief.note("late")

    def _post(self, path: str, body: str, *, updates: int) -> None:
        """Send the same request until it is answered."""
        pause = _PAUSE
        while True:
            try:
                status = self.mischief.through(lambda: self._send(path, body), updates)
            except Unreachable:
                status = _SERVER_ERROR
            if status < _SERVER_ERROR:
                break
            if self.site.abandoned.wait(pause):
                raise Broken("the server has not answered")
            pause = min(pause * 2, _LONGEST_PAUSE)
        if status >= 400:  # noqa: PLR2004
            raise Broken(f"the server answered {status} to {body[:200]}")

    def _send(self, path: str, body: str) -> int:
        """Send a request once, and return the status of the answer."""
        return self._http.post(path, body, timeout=_TIMEOUT).status
