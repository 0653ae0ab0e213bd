"""A crawler as they were before there was a client: the plain protocol, legacy names, requests blindly repeated."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from tallymark.client.transport import JOBS_PATH, PROGRESS_PATH, Unreachable
from tallymark.simulate.chaos import Mischief
from tallymark.simulate.crawler import Base, Broken, Ended, Site
from tallymark.simulate.plan import Page, Plan

_TIMEOUT = 15.0
#: Seconds before a request is repeated, and at most.
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
#: An update is sent after so many items.
_EVERY = 40
#: How many of the old crawlers send running totals as their counts by type.
_CUMULATIVE = 0.35
_SERVER_ERROR = 500


class PlainHttp:
    """Speaks HTTP. It knows nothing of retries."""

    def __init__(self, site: Site) -> None:
        """Connect to nothing yet.

        Args:
            site: Where the server is.
        """
        self._base = site.url
        headers = {"Authorization": f"Bearer {site.token}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False, headers=headers)

    def post(self, path: str, body: str) -> int:
        """Send a request.

        Args:
            path: From the base URL.
            body: JSON.

        Returns:
            The status of the answer.

        Raises:
            Unreachable: There was none.
        """
        try:
            return self._pool.request("POST", self._base + path, body=body.encode(), timeout=_TIMEOUT).status
        except HTTPError as error:
            raise Unreachable(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()


class OldCrawler:
    """Works on one job. Its updates have no ids; some are overtaken by newer ones."""

    def __init__(self, site: Site, plan: Plan, dice: Random, mischief: Mischief) -> None:
        """Make it.

        Args:
            site: Where and how it works.
            plan: What it will find.
            dice: Where chance comes from.
            mischief: What happens to its requests.
        """
        self.base = Base(site, plan, dice, mischief, old=True)
        self._http = PlainHttp(site)
        self._cumulative = dice.random() < _CUMULATIVE
        self._unsent: Counter[str] = Counter()
        self._held: list[list[Any]] = []
        self._last = datetime.fromtimestamp(0, UTC)

    def run(self) -> None:
        """Crawl."""
        base, truth = self.base, self.base.truth
        try:
            self._register()
            self._report("started", operationType="discovery", total=base.plan.total)
            truth.total = base.plan.total
            self._discover()
            for page in base.plan.pages(0):
                if self._turn(page):
                    return
                base.work(page)
                for number in range(page.first, page.last + 1):
                    truth.process(base.plan, number)
                    self._unsent[page.type] += 1
                if self._unsent.total() >= _EVERY or truth.done == base.plan.total:
                    self._report("processing", **self._counts(page))
            base.doing = "finalizing"
            self._end("completed", operationType="finalization", stage="finalization", message="all done")
        except Ended:
            truth.state = base.state()
            self._end("paused", progress=truth.state)

    def settle(self) -> None:
        """Deliver the updates that were overtaken by all others."""
        while self._held:
            self._deliver(self._held.pop(0)[1], late=True)
        self._http.close()

    def _discover(self) -> None:
        base = self.base
        groups, projects = base.plan.areas_of("group"), base.plan.areas_of("project")
        base.doing = "discovering"
        # Running totals, as the old names are.
        for part in (0.5, 1.0):
            base.wait(min(base.site.mending, 1.0))
            seen = {"groups": int(groups * part), "projects": int(projects * part)}
            self._report(
                "processing", stage="discovery", operationType="discovery", groupCount=seen["groups"],
                projectCount=seen["projects"], groupTotal=groups, projectTotal=projects,
            )  # fmt: skip
            base.truth.items_by_type.update({kind: seen[kind] - base.truth.items_by_type[kind] for kind in seen})

    def _turn(self, page: Page) -> bool:
        """Let happen what happens before a page; return whether the crawl is over."""
        base, turn = self.base, self.base.turn(page)
        if turn in {"error", "fail", "retry", "kill"}:
            kind, message, code = base.error(page)
            error = {"type": kind, "message": message, "code": code, "context": {"lastProcessedId": base.truth.last_id}}
            if turn == "error":
                self._report("processing", error=error)
                return False
            self._end("failed", error=error)
            if turn == "fail":
                return True
            base.rest("failed, to be restarted")
            self._report("started", message="restarted")
        elif turn == "pause":
            base.truth.state = base.state()
            self._end("paused", progress=base.truth.state)
            base.rest("paused")
            self._report("started", message="resumed")
        elif turn == "credential":
            self._credential()
        return False

    def _credential(self) -> None:
        about = {"type": "token", "providerId": self.base.plan.owner, "instanceType": "gitlab"}
        said = {"severity": "critical", "errorType": "expired", "message": "401 Unauthorized: the token has expired"}
        self._report("credential_expiry", credentialStatus={**about, **said})
        self.base.rest("credential expired")
        self._report("credential_renewal", credentialStatus={**about, "severity": "warning", "message": "renewing"})
        self.base.rest("credential is renewed")
        self._report("credential_resumed", credentialStatus={**about, "severity": "info", "message": "renewed"})

    def _end(self, status: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Report a status in which the crawler may leave, and what it has not counted yet."""
        self._report(status, **self._counts(None), **members)
        truth = self.base.truth
        truth.status = "finished" if status == "completed" else status
        if truth.status == "finished":
            truth.state = None

    def _counts(self, page: Page | None) -> dict[str, Any]:
        base, members = self.base, dict[str, Any]()
        if page is not None:
            members = {"stage": base.doing, "currentDataType": page.type, "operationType": page.operation}
        if self._unsent:
            truth = base.truth
            found = {kind: truth.items_by_type[kind] for kind in base.plan.counts if truth.items_by_type[kind]}
            members["itemsByType"] = found if self._cumulative else dict(self._unsent)
            members |= {"processed": truth.done, "total": base.plan.total, "lastProcessedId": truth.last_id}
            self._unsent.clear()
        return members

    def _register(self) -> None:
        attributes: dict[str, Any] = {"command": "crawl", "account": self.base.plan.owner, "crawler": "old"}
        if self._cumulative:
            attributes["counting"] = "cumulative"
        self._post(JOBS_PATH, json.dumps({"taskId": self.base.plan.job_id, "attributes": attributes}), updates=0)

    def _report(self, status: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Send an update, or let others overtake it."""
        # Milliseconds, as old clocks have them; no two are the same.
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._last = max(now, self._last + timedelta(milliseconds=1))
        timestamp = self._last.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = json.dumps({"taskId": self.base.plan.job_id, "status": status, "timestamp": timestamp, **members})
        self.base.mischief.note_updates([timestamp])
        lateness = self.base.mischief.lateness() if status == "processing" else 0
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
            self.base.mischief.note("late")

    def _post(self, path: str, body: str, *, updates: int) -> None:
        """Send a request as often as it takes, always the same."""
        pause = _PAUSE
        while True:
            try:
                status = self.base.mischief.through(lambda: self._http.post(path, body), updates)
            except Unreachable:
                status = _SERVER_ERROR
            if status < _SERVER_ERROR:
                break
            if self.base.site.abandoned.wait(pause):
                raise Broken("the server has not answered")
            pause = min(pause * 2, _LONGEST_PAUSE)
        if status >= 400:  # noqa: PLR2004
            raise Broken(f"the server answered {status} to {body[:200]}")
