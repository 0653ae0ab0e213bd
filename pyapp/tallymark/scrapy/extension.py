"""The extension: connects Scrapy's signals to a job."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured
from scrapy.http.request import NO_CALLBACK
from scrapy.utils.project import data_path

from tallymark.client import DeliveryError, Job, ProgressClient
from tallymark.scrapy.ends import Ending, Ends, reason_of, report_end, state_of
from tallymark.scrapy.jobdir import JobDir
from tallymark.scrapy.jobs import give_job
from tallymark.scrapy.keys import Keys, request_of
from tallymark.scrapy.kinds import Types
from tallymark.scrapy.loop import Loop
from tallymark.scrapy.off import client_to_nowhere, why_off
from tallymark.scrapy.shared import is_shared, join, leave

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from twisted.python.failure import Failure

_log = logging.getLogger(__name__)

#: Commands of an operator, and the reason with which the spider is closed.
_REASONS = {"pause": "paused", "cancel": "cancelled"}
_RETRY_SECONDS = 0.05
#: The type of responses that a spider is given. They do not count in processedItems, which is for items.
_PAGES = "crawled pages"


class ProgressExtension:
    """Reports the progress of a spider, from its first request to its end."""

    def __init__(self, crawler: "Crawler") -> None:
        """Connect to Scrapy's signals; nothing is sent yet.

        Args:
            crawler: The spider's crawler.

        Raises:
            NotConfigured: Nothing is to be reported; the message says why, if nobody wished that.
            ValueError: `TALLYMARK_ENDS` names an end that there is not.
        """
        settings = crawler.settings
        if (why := why_off(settings)) is not None:
            raise _off(crawler, *why)
        self._crawler = crawler
        self._jobdir = JobDir.of(settings)
        self._keys, self._types, self._ends = Keys(crawler), Types(settings), Ends(settings)
        try:
            self._client = ProgressClient(
                settings.get("TALLYMARK_URL"), token=settings.get("TALLYMARK_TOKEN"), spool=self._spool()
            )
        except (ValueError, OSError) as error:
            # The crawl does not end for an address that is mistyped.
            raise _off(crawler, str(error), wished=False) from error
        self._loop = Loop()
        self._job: Job | None = None
        #: The spider's job; where none could be started, one that drops its reports.
        self._given: Job | None = None
        #: The job, by the server and its id, and this spider's name among those that report on it.
        self._name = str(settings.get("TALLYMARK_URL")), ""
        self._worker: str | None = settings.get("TALLYMARK_WORKER") or None
        #: Why the spider was closed, and its state then.
        self._closed: tuple[str, object] | None = None
        self._is_over = False
        if self._jobdir is not None:
            self._jobdir.prepare(restart=settings.getbool("TALLYMARK_RESTART_AFTER_KILL"))
        for handler, signal in (
            (self.spider_opened, signals.spider_opened),
            (self.spider_closed, signals.spider_closed),
            (self.engine_stopped, signals.engine_stopped),
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

    # --- start and end ------------------------------------------------------------------------------------------------

    async def spider_opened(self, spider: "Spider") -> None:
        """Start the job. If the server does not answer, the crawl starts nevertheless and reports later."""
        self._loop.enter()
        job_id = str(self._crawler.settings.get("TALLYMARK_JOB_ID") or "{spider}").replace("{spider}", spider.name)
        self._name = self._name[0], job_id
        wished, self._worker = self._worker, join(self._name, self._worker, spider.name)
        if self._worker != wished:
            _log.warning(
                "another spider of this process reports on the job %s, too: this one is its worker %s, and the last one"
                " ends the job; with {spider} in TALLYMARK_JOB_ID each has a job of its own",
                job_id,
                self._worker,
            )
        try:
            job = self._client.job(job_id, register=True, worker=self._worker, on_command=self._on_command)
            await self._loop.in_thread(job.start)
            job.stage("crawling", operation="data_collection")
        except BaseException as error:
            leave(self._name, self._worker, None)
            if not isinstance(error, Exception):
                raise
            _log.exception("the job cannot be started: the crawl goes on, and nothing is reported")
            job = client_to_nowhere().job("nowhere").start()
        else:
            self._job = job
            self._crawler.stats.set_value("tallymark/job_id", job_id)
            if self._jobdir is not None:
                self._jobdir.open(self._keys)
        self._given = job
        give_job(self._crawler, spider, job)

    async def spider_closed(self, spider: "Spider", reason: object) -> None:
        """Note why the spider was closed. The job ends when the engine stops, after all handlers of this signal."""
        self._loop.enter()
        # Other handlers may report on the job, such as the spider's method `closed`.
        await self._loop.after_handlers()
        self._closed = reason_of(reason), state_of(spider)
        if not self._crawler.engine.running:
            # The engine stops already, or it never ran: the other signal may not come.
            await self.engine_stopped()

    async def engine_stopped(self) -> None:
        """Report how the crawl ended, and wait until the server or the spool has all updates."""
        if self._is_over:
            return
        self._is_over = True
        self._loop.enter()
        job, self._job = self._job, None
        try:
            if job is not None:
                await self._loop.in_thread(self._report_end, job)
        finally:
            await self._loop.in_thread(self._client.close)

    def _report_end(self, job: Job) -> None:
        reason, state = self._closed or ("shutdown", None)
        ending = Ending(self._ends.of(reason), reason, state)
        try:
            if is_shared(self._name):
                # Another spider may end the job from here on.
                job.flush()
            elif self._jobdir is not None:
                # Into the spool: after an orderly stop, Scrapy does not scrape these items again.
                job.flush(timeout=0)
        except DeliveryError:
            _log.debug("the spool is in memory")
        if self._jobdir is not None:
            self._jobdir.close(self._keys)
        if (last := leave(self._name, self._worker, ending)) is not None:
            report_end(job, last)

    # --- counts -------------------------------------------------------------------------------------------------------

    def item_scraped(self, item: object, response: "Response | Failure | None") -> None:
        """Count an item, once."""
        if self._job is not None:
            key = self._keys.of_item(item, response)
            # Given in all calls: otherwise the client may leave out processedItems, and the percentage is that of all
            # types together.
            is_new = self._job.advance(self._types.of(item), key=key, processed=1)
            self._crawler.stats.inc_value(f"tallymark/{'items_counted' if is_new else 'items_counted_before'}")

    def item_dropped(self) -> None:
        """Count an item that a pipeline dropped."""
        self._count("dropped")

    def request_reached_downloader(self) -> None:
        """Count a request."""
        self._count("requests")

    def response_received(self, response: "Response", spider: "Spider") -> None:
        """Count a response by its status, and as a page, once, if the spider is given it."""
        self._count(f"responses {response.status}")
        if self._job is not None and self._is_page(response, spider):
            self._job.advance(_PAGES, key=self._keys.of_page(response), processed=0)

    def _is_page(self, response: "Response", spider: "Spider") -> bool:
        """Return whether a callback is given the response, as Scrapy's HttpErrorMiddleware decides."""
        request = request_of(response)
        if request is None or request.callback is NO_CALLBACK:
            # Scrapy's own, such as robots.txt, images and files.
            return False
        if 200 <= response.status < 300:  # noqa: PLR2004 - success
            return True
        if request.meta.get("handle_httpstatus_all"):
            return True
        if "handle_httpstatus_list" in request.meta:
            return response.status in request.meta["handle_httpstatus_list"]
        settings = self._crawler.settings
        return (
            settings.getbool("HTTPERROR_ALLOW_ALL")
            or response.status in getattr(spider, "handle_httpstatus_list", ())
            or str(response.status) in map(str, settings.getlist("HTTPERROR_ALLOWED_CODES"))
        )

    def _count(self, type_: str) -> None:
        if self._job is not None:
            self._job.advance(type_, processed=0)

    # --- errors -------------------------------------------------------------------------------------------------------

    def spider_error(self, failure: "Failure", response: "Response | Failure | None", spider: "Spider") -> None:
        """Report an exception in a callback."""
        self._report(failure, spider, response)

    def item_error(
        self, item: object, response: "Response | Failure | None", spider: "Spider", failure: "Failure"
    ) -> None:
        """Report an exception in a pipeline."""
        self._report(failure, spider, response, item=self._types.of(item))

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

    # --- commands -----------------------------------------------------------------------------------------------------

    def _on_command(self, command: str) -> None:
        """Handle an operator's command, in a thread of the client."""
        if command in _REASONS:
            self._loop.call(self._close_spider, _REASONS[command])

    def _close_spider(self, reason: str) -> None:
        engine = self._crawler.engine
        if self._closed is not None:
            return
        if not engine.running:
            # A waiting command may arrive before the engine runs; a spider can be closed only after.
            self._loop.later(_RETRY_SECONDS, self._close_spider, reason)
        elif hasattr(engine, "close_spider_async"):
            self._loop.start(engine.close_spider_async(reason=reason))
        elif engine.spider is not None:
            # Scrapy before 2.14 has this instead.
            engine.close_spider(engine.spider, reason)

    def _spool(self) -> Path:
        if given := self._crawler.settings.get("TALLYMARK_SPOOL"):
            return Path(given)
        return self._jobdir.spool if self._jobdir is not None else Path(data_path("tallymark"))


class _InPlaceOfJob:
    """Gives a spider a job that drops its reports, so that callbacks work that use it."""

    def __init__(self, crawler: "Crawler") -> None:
        self._crawler = crawler
        self._client: ProgressClient | None = None
        self._job: Job | None = None
        # Nobody else holds this object.
        crawler.signals.connect(self.spider_opened, signal=signals.spider_opened, weak=False)
        crawler.signals.connect(self.spider_closed, signal=signals.spider_closed, weak=False)

    def spider_opened(self, spider: "Spider") -> None:
        self._client = client_to_nowhere()
        self._job = self._client.job("nowhere").start()
        give_job(self._crawler, spider, self._job)

    def spider_closed(self) -> None:
        if self._client is not None:
            self._client.close()


def _off(crawler: "Crawler", why: str, wished: bool) -> NotConfigured:
    """Prepare for a crawl that reports nothing, and return what tells Scrapy so."""
    _InPlaceOfJob(crawler)
    if wished:
        # Scrapy logs a message of the exception as a warning.
        _log.info("nothing is reported to Tallymark: %s", why)
        return NotConfigured()
    return NotConfigured(f"nothing is reported to Tallymark: {why}")
