"""A spider that crawls a site and reports its progress to Tallymark.

export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
scrapy runspider scrapy_spider.py -a start=https://site.example/

Kill it at any moment, start it again: every page counts once. Ask it to stop with
`tallymark job command pages pause`; with `-s JOBDIR=crawl` it continues later where it was.
"""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import scrapy
from scrapy.http import HtmlResponse

if TYPE_CHECKING:
    from tallymark import Job


@dataclass
class Page:
    """A page. It counts as an item of the type `Page`."""

    url: str
    title: str | None


class PagesSpider(scrapy.Spider):
    """Follows every link of a site."""

    name = "pages"
    custom_settings = {  # noqa: RUF012 - as Scrapy has it
        "EXTENSIONS": {"tallymark.scrapy.ProgressExtension": 500},
        "TALLYMARK_URL": os.environ.get("TALLYMARK_URL", "http://127.0.0.1:8000"),
        "TALLYMARK_TOKEN": os.environ["TALLYMARK_TOKEN"],
    }

    #: The job; the extension puts it here before the first request.
    progress: "Job"

    def __init__(self, start: str, **arguments: Any) -> None:  # noqa: ANN401 - Scrapy's own
        """Begin at a page."""
        super().__init__(**arguments)
        self.start_url = start

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Go to the first page."""
        self.logger.info("%d items were counted before", self.progress.resume.processed_items)
        yield scrapy.Request(self.start_url)

    def parse(self, response: HtmlResponse) -> Iterator[Page | scrapy.Request]:
        """Take a page, and follow its links."""
        yield Page(response.url, response.css("title::text").get())
        yield from response.follow_all(css="a")
