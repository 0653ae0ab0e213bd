"""The keys by which items and pages count once, however often they are scraped.

The default key is the fingerprint of the request, the item's class, and a number: the items of a request are numbered
over the whole crawl, and not within a response. So a page that is fetched again in the same crawl counts again, and the
same crawl after a kill gives the same keys. A crawl that Scrapy continues from its JOBDIR makes its start requests
again and no others. So the numbers of start requests begin at 1 in each process, and the others go on.
"""

import hashlib
import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from itemadapter import ItemAdapter
from scrapy.utils.misc import load_object

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from twisted.python.failure import Failure

_log = logging.getLogger(__name__)

#: The protocol's limit for a key, in characters.
_LONGEST_KEY = 1024
#: How many bytes of a digest stand for a request and a class in memory.
_SHORT_BYTES = 8


def request_of(response: "Response | Failure | None") -> "Request | None":
    """Return the request of a response, or of a failure that an errback handled."""
    return getattr(response, "request", None)


class Keys:
    """Gives items and pages their keys."""

    def __init__(self, crawler: "Crawler") -> None:
        """Read the setting `TALLYMARK_ITEM_KEY`; a path that cannot be imported raises what the import raises."""
        setting = crawler.settings.get("TALLYMARK_ITEM_KEY")
        self._crawler = crawler
        self._field: str | None = None
        self._custom: Callable[[Any, Any], object] | None = None
        if callable(setting) or (setting and "." in setting):
            self._custom = load_object(setting)
        else:
            self._field = setting
        # Short digests of requests and classes, and how many items or pages there were of each.
        self._numbers: Counter[bytes] = Counter()
        self._start_numbers: Counter[bytes] = Counter()
        self._warned: set[str] = set()

    def of_item(self, item: object, response: "Response | Failure | None") -> str | None:
        """Return the key of an item; None if it has none, so that it counts in any case."""
        kind = f"{type(item).__module__}.{type(item).__qualname__}"
        key = self._own(item, response, kind)
        return self._default(response, kind) if key is None else key

    def of_page(self, response: "Response") -> str | None:
        """Return the key of a page; None if it has none, so that it counts in any case."""
        return self._default(response, "page")

    def _own(self, item: object, response: "Response | Failure | None", kind: str) -> str | None:
        """Return the key that the setting gives an item."""
        try:
            if self._custom is not None:
                key = self._custom(item, response)
            elif self._field is not None:
                key = ItemAdapter(item).get(self._field)
            else:
                return None
            # An empty key would be the same for all items without one.
            text = "" if key is None else str(key)
        except Exception:  # noqa: BLE001 - it is the user's code; the item must count whatever it raises
            self._warn(f"TALLYMARK_ITEM_KEY fails for items of {kind}, they get default keys")
            return None
        if not text:
            return None
        return _fitting(text if self._custom else f"{kind} {text}")

    def _default(self, response: "Response | Failure | None", kind: str) -> str | None:
        """Return the default key: the request's fingerprint, what it is, and its number."""
        request = request_of(response)
        source = "start"
        if request is not None:
            try:
                source = self._crawler.request_fingerprinter.fingerprint(request).hex()
            except Exception:  # noqa: BLE001 - a fingerprinter of the user's; the item must count whatever it raises
                self._warn("requests without a fingerprint: their items and pages count each time they are scraped")
                return None
        is_start = _is_start(request)
        name = f"{source} {kind}"
        short = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_SHORT_BYTES).digest()
        numbers = self._start_numbers if is_start else self._numbers
        numbers[short] += 1
        return _fitting(f"{name} {'start ' if is_start else ''}{numbers[short]}")

    def _warn(self, message: str) -> None:
        """Log the exception that is being handled, once for each message."""
        if message not in self._warned:
            self._warned.add(message)
            _log.warning("%s", message, exc_info=True)

    # --- the numbers in a JOBDIR --------------------------------------------------------------------------------------

    def load_numbers(self, path: "Path") -> None:
        """Continue with the numbers of the crawl that Scrapy continues; without the file they begin at 1."""
        try:
            found = json.loads(path.read_text())
            self._numbers = Counter({bytes.fromhex(short): int(number) for short, number in found.items()})
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError, TypeError) as error:
            _log.warning("the numbers of items in %s cannot be read, they begin at 1: %s", path, error)

    def save_numbers(self, path: "Path") -> None:
        """Keep the numbers for the crawl that Scrapy continues later; replaces the file in one step."""
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps({short.hex(): number for short, number in self._numbers.items()}))
        new.replace(path)


def _is_start(request: "Request | None") -> bool:
    """Return whether Spider.start() made the request, or the item itself."""
    # A copy of a start request, made to fetch the page again, has the mark, too, but not the depth.
    return request is None or bool(request.meta.get("is_start_request") and not request.meta.get("depth"))


def _fitting(key: str) -> str:
    """Return a key that the protocol takes: a long one, or one that is no Unicode text, is replaced by its digest."""
    try:
        key.encode()
        if len(key) <= _LONGEST_KEY and "\0" not in key:
            return key
    except UnicodeEncodeError:
        pass
    return f"sha256 {hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"
