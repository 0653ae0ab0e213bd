"""What the extension keeps in Scrapy's JOBDIR."""

import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scrapy.utils.job import job_dir

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from tallymark.scrapy.keys import Keys

_log = logging.getLogger(__name__)

#: Scrapy's own files: the queue, the list of requests that were seen, and the spider's state.
_OF_SCRAPY = ("requests.queue", "requests.seen", "spider.state")


class JobDir:
    """A JOBDIR, which survives an orderly stop, but not a kill: the queue is lost then, the list of seen pages not."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        #: This file exists while a crawl uses the JOBDIR.
        self._mark = directory / "tallymark.running"
        #: How many items each request has had.
        self._numbers = directory / "tallymark.numbers"

    @classmethod
    def of(cls, settings: "BaseSettings") -> Self | None:
        """Return the JOBDIR of the settings, if there is one."""
        directory = job_dir(settings)
        return cls(Path(directory)) if directory else None

    @property
    def spool(self) -> Path:
        """Where updates wait, unless a setting says another place."""
        return self._directory / "tallymark"

    def prepare(self, *, restart: bool) -> None:
        """Look whether the last crawl was killed; called before Scrapy opens its files.

        Args:
            restart: Whether a crawl begins again after a kill: then Scrapy's files are moved into a folder beside them.
        """
        if not self._mark.exists():
            return
        if not restart:
            _log.warning(
                "the previous crawl was killed: Scrapy's queue in %s is lost, and this crawl will skip pages;"
                " to visit all pages, set TALLYMARK_RESTART_AFTER_KILL, or remove everything in that directory"
                " except tallymark, and restart",
                self._directory,
            )
            return
        aside = self._directory / f"killed-{time.time_ns()}"
        try:
            aside.mkdir()
            for name in _OF_SCRAPY:
                with suppress(FileNotFoundError):
                    (self._directory / name).rename(aside / name)
            self._numbers.unlink(missing_ok=True)
        except OSError:
            _log.exception(
                "the files of the killed crawl in %s cannot be moved, pages will be skipped", self._directory
            )
        else:
            _log.warning("the previous crawl was killed: this one begins again; the queue it left is in %s", aside)

    def open(self, keys: "Keys") -> None:
        """Note that a crawl uses the JOBDIR, and continue its numbers."""
        keys.load_numbers(self._numbers)
        try:
            self._mark.touch()
        except OSError as error:
            _log.warning("a kill of this crawl will not be noticed: %s", error)

    def close(self, keys: "Keys") -> None:
        """Note that the crawl was stopped in an orderly way. Everything that it counted is in the spool by now."""
        try:
            keys.save_numbers(self._numbers)
            self._mark.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("the next crawl in %s will count this one as killed: %s", self._directory, error)
