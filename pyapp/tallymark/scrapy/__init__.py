"""A Scrapy extension that reports a spider's progress to Tallymark.

    EXTENSIONS = {"tallymark.scrapy.ProgressExtension": 500}
    TALLYMARK_URL = "http://127.0.0.1:8000"
    TALLYMARK_TOKEN = "..."

Items are counted by their class, each once, even if a killed crawl visits the same pages again. The spider has the job
as `self.progress`. Optional settings:

- `TALLYMARK_JOB_ID`: the job's id. `{spider}` in it stands for the spider's name, which is also the default.
- `TALLYMARK_WORKER`: the name of this process, if several crawl for one job.
- `TALLYMARK_SPOOL`: the directory for updates that the server does not have yet, and for the keys that were counted.
  Default: `tallymark` in the `JOBDIR`, or else in the project's `.scrapy`.
- `TALLYMARK_ITEM_KEY`: what distinguishes an item from others of its class: the name of a field, or the path of a
  callable (item, response) -> str. Default: the fingerprint of the item's request, and the item's number among the
  items of that response. An item without the field, or for which the callable returns None, has the default key.

The spool remembers keys until the crawl completes. Give a crawl that is repeated every day a new id every day, such as
`TALLYMARK_JOB_ID = "{spider} 2025-01-06"`; otherwise the items of all days are added up.

Scrapy's `JOBDIR` survives an orderly stop, but not a kill: the queue of requests is lost, and the list of pages that
were visited is not. A crawl that continues then skips pages, and the extension logs a warning. Where kills are to be
expected, use no `JOBDIR`, or set a `TALLYMARK_SPOOL` outside of it and start with a new `JOBDIR` after a kill.
"""

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured
from scrapy.utils.job import job_dir
from scrapy.utils.project import data_path

from tallymark.client import ProgressClient
from tallymark.scrapy.keys import Keys, request_of, type_of
from tallymark.scrapy.loop import Loop

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.settings import BaseSettings
    from twisted.python.failure import Failure

    from tallymark.client import Job

_log = logging.getLogger(__name__)

#: Commands of an operator, and the reason with which the spider is closed.
_REASONS = {"pause": "paused", "cancel": "cancelled"}
#: Reasons that mean a failed crawl.
_FAILURES = {
    "closespider_errorcount": "too many errors",
    "start_error": "not all start requests could be made",
}
#: The protocol allows 64 KB in a resume state; the last update must not be refused for it.
_MOST_STATE_BYTES = 60_000
_RETRY_SECONDS = 0.05


class ProgressExtension:
    """Reports the progress of a spider, from its first request to its end."""

    def __init__(self, crawler: "Crawler") -> None:
        """Connect to Scrapy's signals; nothing is sent yet.

        Args:
            crawler: The spider's crawler.

        Raises:
            NotConfigured: `TALLYMARK_URL` or `TALLYMARK_TOKEN` is not set.
            ValueError: A setting has a value that the client does not accept.
        """
        settings = crawler.settings
        url, token = settings.get("TALLYMARK_URL"), settings.get("TALLYMARK_TOKEN")
        if not url:
            raise NotConfigured
        if not token:
            raise NotConfigured("TALLYMARK_URL is set, but TALLYMARK_TOKEN is not: set both")
        self._crawler = crawler
        self._client = ProgressClient(url, token=token, spool=_spool(settings))
        self._keys = Keys(crawler)
        self._loop = Loop()
        self._job: Job | None = None
        self._ended = False
        directory = job_dir(settings)
        #: This file exists while a crawl uses the JOBDIR.
        self._mark = Path(directory) / "tallymark.running" if directory else None
        for handler, signal in (
            (self.spider_opened, signals.spider_opened),
            (self.spider_closed, signals.spider_closed),
            (self.item_scraped, signals.item_scraped),
            (self.item_dropped, signals.item_dropped),
            (self.item_error, signals.item_error),
            (self.spider_error, signals.spider_error),
            (self.request_reached_downloader, signals.request_reached_downloader),
            (self.response_received, signals.response_received),
        ):
            crawler.signals.connect(handler, signal=signal)

    @classmethod
    def from_crawler(cls, crawler: "Crawler") -> Self:
        """Make the extension; called by Scrapy."""
        return cls(crawler)

    async def spider_opened(self, spider: "Spider") -> None:
        """Start the job. If the server does not answer, the crawl starts nevertheless and reports later."""
        self._loop.enter()
        settings = self._crawler.settings
        job_id = str(settings.get("TALLYMARK_JOB_ID") or "{spider}").replace("{spider}", spider.name)
        job = self._client.job(
            job_id, register=True, worker=settings.get("TALLYMARK_WORKER"), on_command=self._on_command
        )
        spider.progress = job  # type: ignore[attr-defined]
        await self._loop.in_thread(job.start)
        job.stage("crawling", operation="data_collection")
        self._job = job
        if self._mark is not None:
            with suppress(OSError):
                if self._mark.exists():
                    _log.warning(
                        "the previous crawl was killed: Scrapy's queue in %s is lost, and this crawl will skip pages;"
                        " to visit all pages, remove everything in that directory except tallymark, and restart",
                        self._mark.parent,
                    )
                self._mark.touch()

    async def spider_closed(self, spider: "Spider", reason: str) -> None:
        """Report how the spider ended, and wait until the server or the spool has all updates."""
        self._ended = True
        job, self._job = self._job, None
        try:
            if job is not None:
                await self._loop.in_thread(_end, job, reason, _state_of(spider))
        finally:
            await self._loop.in_thread(self._client.close)
            if self._mark is not None:
                with suppress(OSError):
                    self._mark.unlink(missing_ok=True)

    def item_scraped(self, item: object, response: "Response | Failure | None") -> None:
        """Count an item, once."""
        if self._job is not None:
            self._job.advance(type_of(item), key=self._keys.of(item, response))

    def item_dropped(self) -> None:
        """Count an item that a pipeline dropped."""
        self._count("dropped")

    def request_reached_downloader(self) -> None:
        """Count a request."""
        self._count("requests")

    def response_received(self, response: "Response") -> None:
        """Count a response, by its status."""
        self._count(f"responses {response.status}")

    def _count(self, type_: str) -> None:
        if self._job is not None:
            self._job.advance(type_, processed=0)

    def spider_error(self, failure: "Failure", response: "Response | Failure | None", spider: "Spider") -> None:
        """Report an exception in a callback."""
        self._report(failure, spider, response)

    def item_error(
        self, item: object, response: "Response | Failure | None", spider: "Spider", failure: "Failure"
    ) -> None:
        """Report an exception in a pipeline."""
        self._report(failure, spider, response, item=type_of(item))

    def _report(
        self, failure: "Failure", spider: "Spider", response: "Response | Failure | None", **context: str
    ) -> None:
        if self._job is None:
            return
        request = request_of(response)
        url = getattr(response, "url", None) or (request.url if request is not None else None)
        if url is not None:
            context["url"] = url
        error = failure.value if failure.value is not None else str(failure)
        self._job.error(error, spider=spider.name, **context)

    def _on_command(self, command: str) -> None:
        """Handle an operator's command, in a thread of the client."""
        if command in _REASONS:
            self._loop.call(self._close_spider, _REASONS[command])

    def _close_spider(self, reason: str) -> None:
        engine = self._crawler.engine
        if self._ended:
            return
        if not engine.running:
            # A waiting command may arrive before the engine runs; a spider can be closed only after.
            self._loop.later(_RETRY_SECONDS, self._close_spider, reason)
        elif hasattr(engine, "close_spider_async"):
            self._loop.start(engine.close_spider_async(reason=reason))
        elif engine.spider is not None:
            # Scrapy before 2.14 has this instead.
            engine.close_spider(engine.spider, reason)


def _end(job: "Job", reason: str, state: object) -> None:
    """Report how the crawl ended, and wait until the report is on the server or in the spool."""
    if reason in {"paused", "shutdown"}:
        job.pause(state)
    elif reason == "cancelled":
        job.cancel()
    elif reason in _FAILURES:
        job.fail(f"{reason}: {_FAILURES[reason]}")
    else:
        if reason != "finished":
            job.report(message=f"The spider was closed: {reason}"[:1000])
        job.complete()


def _spool(settings: "BaseSettings") -> Path:
    if given := settings.get("TALLYMARK_SPOOL"):
        return Path(given)
    directory = job_dir(settings)
    return Path(directory) / "tallymark" if directory else Path(data_path("tallymark"))


def _state_of(spider: "Spider") -> object:
    """Return the state that Scrapy keeps in the JOBDIR, if it is JSON. With None, the newest checkpoint stays."""
    state = getattr(spider, "state", None)
    try:
        return state if state and len(json.dumps(state, allow_nan=False)) <= _MOST_STATE_BYTES else None
    except (TypeError, ValueError):
        return None
