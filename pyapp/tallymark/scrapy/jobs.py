"""The job of each spider: where spiders, pipelines and other extensions find it."""

import inspect
import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.crawler import Crawler

    from tallymark.client import Job

_log = logging.getLogger(__name__)

#: Both weak: a job knows its extension, which knows the crawler.
_jobs: "WeakKeyDictionary[Crawler, ref[Job]]" = WeakKeyDictionary()


def job_of(spider_or_crawler: "Spider | Crawler") -> "Job":
    """Return the job on which a spider reports. Where nothing is reported, it is one that takes reports and drops them.

    Args:
        spider_or_crawler: The spider, or its crawler.

    Raises:
        LookupError: There is none: `ProgressExtension` is not in `EXTENSIONS`, or the spider is not open yet.
    """
    crawler: Any = getattr(spider_or_crawler, "crawler", spider_or_crawler)
    try:
        job = _jobs[crawler]()
    except (KeyError, TypeError):
        job = None
    if job is None:
        raise LookupError(
            "no job: add tallymark.scrapy.ProgressExtension to EXTENSIONS, and ask after the signal spider_opened"
        )
    return job


def give_job(crawler: "Crawler", spider: "Spider", job: "Job") -> None:
    """Let a spider find its job, also as its attribute `progress`, if it has none of that name."""
    _jobs[crawler] = ref(job)
    nothing = object()
    try:
        # A property of the spider's is found without calling it.
        if inspect.getattr_static(spider, "progress", nothing) is nothing and not hasattr(spider, "progress"):
            spider.progress = job  # type: ignore[attr-defined]
            return
    except Exception:  # noqa: BLE001 - the spider's own code; the crawl goes on
        _log.debug("the spider %s takes no attribute", spider.name, exc_info=True)
    _log.info("the spider %s keeps its own `progress`; its job is tallymark.scrapy.job_of(spider)", spider.name)
