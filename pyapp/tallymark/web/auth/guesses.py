"""Wrong tokens are slowed, by the address that they come from; a right one is always let in.

An address may show some wrong tokens, and then a few each second. After too many, further ones are answered 429 instead
of 401 for some seconds. They are answered at once, so that being slowed costs the server neither a thread nor a
connection. Each process counts for itself, in memory.
"""

import logging
import math
import time
from collections import OrderedDict
from ipaddress import IPv4Address, ip_address, ip_network
from threading import Lock
from typing import NamedTuple

_logger = logging.getLogger("tallymark.web.tokens")

#: How many wrong tokens an address may show at once, and how many more each second.
BUDGET = 100
_PER_SECOND = 5.0
#: An address that has spent its budget may go on when it has so much of it again.
_ENOUGH = 50
#: How many addresses are remembered; the one that was wrong longest ago is forgotten first.
_MAX_SOURCES = 10_000
_LOG_AGAIN_SECONDS = 60.0


class _Spent(NamedTuple):
    """How much of its budget an address had spent, and when; whether it has to wait; and when that was logged."""

    amount: float
    at: float
    waits: bool
    logged_at: float


class Guesses:
    """Counts the wrong tokens of each address."""

    def __init__(self) -> None:
        """Nobody has guessed yet."""
        self._lock = Lock()
        self._spent: OrderedDict[str, _Spent] = OrderedDict()

    def count(self, source: str) -> int:
        """Count a wrong token; return for how many seconds that address should show no further one, 0 for no limit."""
        now = time.monotonic()
        with self._lock:
            amount, at, waits, logged_at = self._spent.pop(source, _Spent(0.0, now, False, -math.inf))
            amount = max(0.0, amount - (now - at) * _PER_SECOND)
            waits = amount > BUDGET - (_ENOUGH if waits else 1)
            tell = waits and now > logged_at + _LOG_AGAIN_SECONDS
            if len(self._spent) >= _MAX_SOURCES:
                self._spent.popitem(last=False)
            self._spent[source] = _Spent(amount if waits else amount + 1, now, waits, now if tell else logged_at)
        if tell:
            _logger.warning("too many wrong tokens from %s: more are answered 429", source or "an unknown address")
        return math.ceil((amount - BUDGET + _ENOUGH) / _PER_SECOND) if waits else 0


def source_of(address: str | None) -> str:
    """Return what a wrong token counts for: the address, or in IPv6 its /64 network, all of which one client may have.

    Behind proxies the address is that of the client only if TALLYMARK_TRUSTED_PROXIES says how many there are.
    """
    given = address or ""
    try:
        parsed = ip_address(given)
    except ValueError:
        return given
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
