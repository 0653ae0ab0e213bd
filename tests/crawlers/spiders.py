"""Spiders that tests put together, as text: each runs in a process of its own."""

#: Parts of spiders; each test chooses.
SPIDER = """
from dataclasses import dataclass
import scrapy
from scrapy.exceptions import CloseSpider, DropItem

@dataclass
class Page:
    url: str
    parity: int = 0

@dataclass
class Link:
    target: str

def by_parity(item, response):
    return f"parity {item.parity}" if isinstance(item, Page) else None

class Pipeline:
    def process_item(self, item, spider=None):
        return item

class ASpider(scrapy.Spider):
    name = "a spider"
    custom_settings = {
        "EXTENSIONS": {"tallymark.scrapy.ProgressExtension": 500},
        "ITEM_PIPELINES": {Pipeline: 500},
    }

    async def start(self):
        self.logger.info("resume: %r", getattr(getattr(self, "progress", None), "resume", None))
        yield scrapy.Request(self.start_url)

    def __init__(self, start, **arguments):
        super().__init__(**arguments)
        self.start_url = start
"""
#: Visits all pages, and scrapes an item from each.
PARSE = """
    def parse(self, response):
        yield Page(response.url, int(response.url.rpartition("/")[2]) % 2)
        yield from response.follow_all(css="a")
"""

LOOPS = {
    "asyncio": {},
    "twisted": {"TWISTED_REACTOR": "twisted.internet.epollreactor.EPollReactor"},
}

#: A program that runs several spiders in one process; tests append `run({...}, ...)`, settings and spiders.
PROGRAM = """
import sys
from urllib.parse import urljoin
import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.exceptions import CloseSpider

URL, TOKEN, SPOOL, SITE = sys.argv[1:5]
SETTINGS = {
    "EXTENSIONS": {"tallymark.scrapy.ProgressExtension": 500},
    "TALLYMARK_URL": URL,
    "TALLYMARK_TOKEN": TOKEN,
    "TALLYMARK_SPOOL": SPOOL,
    "TELNETCONSOLE_ENABLED": False,
}

def run(settings, *spiders):
    process = CrawlerProcess({**SETTINGS, **settings})
    for spider, arguments in spiders:
        process.crawl(spider, **arguments)
    process.start()
"""
