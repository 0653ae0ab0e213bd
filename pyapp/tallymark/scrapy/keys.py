"""The keys by which items count once, however often they are scraped."""

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from itemadapter import ItemAdapter
from scrapy.utils.misc import load_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from twisted.python.failure import Failure

_log = logging.getLogger(__name__)


def type_of(item: object) -> str:
    """Return the type that an item counts as: its class, at most 100 characters."""
    return type(item).__name__[:100]


def request_of(response: "Response | Failure | None") -> "Request | None":
    """Return the request of a response, or of a failure that an errback handled."""
    return getattr(response, "request", None)


class Keys:
    """Gives items their keys."""

    def __init__(self, crawler: "Crawler") -> None:
        setting = crawler.settings.get("TALLYMARK_ITEM_KEY")
        self._crawler = crawler
        self._field: str | None = None
        self._custom: Callable[[Any, Any], object] | None = None
        if callable(setting) or (setting and "." in setting):
            self._custom = load_object(setting)
        else:
            self._field = setting
        # How many items of each type each response has produced; items of Spider.start() have no response.
        self._ordinals: WeakKeyDictionary[object, Counter[str]] = WeakKeyDictionary()
        self._without_response: Counter[str] = Counter()

    def of(self, item: object, response: "Response | Failure | None") -> str:
        """Return the key of an item."""
        # Every item takes a number in its response: the others' numbers must not depend on the setting.
        default = self._default(item, response)
        key = self._own(item, response)
        if key is None:
            return default
        return str(key) if self._custom else f"{type_of(item)} {key}"

    def _own(self, item: object, response: "Response | Failure | None") -> object:
        try:
            if self._custom is not None:
                return self._custom(item, response)
            if self._field is not None:
                return ItemAdapter(item).get(self._field)
        except Exception:  # noqa: BLE001 - it is the user's code; the item must count whatever it raises
            _log.exception("TALLYMARK_ITEM_KEY failed for an item of %s, the default key is used", type_of(item))
        return None

    def _default(self, item: object, response: "Response | Failure | None") -> str:
        type_ = type_of(item)
        request = request_of(response)
        if response is None or request is None:
            ordinals, source = self._without_response, "start"
        else:
            ordinals = self._ordinals.setdefault(response, Counter())
            source = self._crawler.request_fingerprinter.fingerprint(request).hex()
        ordinals[type_] += 1
        return f"{source} {type_} {ordinals[type_]}"
