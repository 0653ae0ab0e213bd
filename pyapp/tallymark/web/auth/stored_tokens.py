"""The tokens that the database knows, and what it said of them a moment ago."""

import json
import re
import time
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

from tallymark.functions.http import CHECK_TOKEN
from tallymark.web.auth.callers import ALL_SCOPES, Caller
from tallymark.web.db.pool import Database

#: So many tokens are remembered, and so many that are wrong: a flood of them must not fill the memory.
_MOST_REMEMBERED = 1000
#: A token that was just made must not be wrong for long.
_UNKNOWN_SECONDS = 1.0
#: What tokens of the database look like, see create_token. All others are as good as none, and are asked about as one.
_LOOKS_RIGHT = re.compile(rb"tallymark_[0-9a-f]{64}")
_NO_TOKEN = sha256(b"").digest()


class Known(NamedTuple):
    """What the database said of a token: whose it is, if anybody's, and whether it knows any token at all."""

    until: float
    caller: Caller | None
    any_token: bool


class _Memory:
    """What the database said of the tokens that were shown last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[bytes, Known] = {}

    def get(self, digest: bytes) -> Known | None:
        """Return what is remembered of a token, and not too old."""
        known = self._known.get(digest)
        return known if known is not None and time.monotonic() < known.until else None

    def put(self, digest: bytes, known: Known) -> None:
        """Remember a token, instead of the one that has been remembered for longest where there are too many."""
        with self._lock:
            self._known.pop(digest, None)
            if len(self._known) >= _MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[digest] = known


class StoredTokens:
    """The tokens of a database, or of none."""

    def __init__(self, database: Database | None, cache_seconds: float) -> None:
        """Say where they are.

        Args:
            database: None is nowhere.
            cache_seconds: For how long what the database says of a token is remembered.
        """
        self._database = database
        self._cache_seconds = cache_seconds
        # Apart, so that wrong tokens, however many there are, push no right one out.
        self._right = _Memory()
        self._wrong = _Memory()

    @property
    def are_there(self) -> bool:
        """Whether there is a database that may know some."""
        return self._database is not None

    def of_token(self, shown: bytes) -> Known:
        """Say what is known of a token.

        Args:
            shown: It, as it came.

        Returns:
            Whose it is.

        Raises:
            Unavailable: The database is away.
        """
        return self.of_digest(sha256(shown).digest() if _LOOKS_RIGHT.fullmatch(shown) else _NO_TOKEN)

    def of_digest(self, digest: bytes) -> Known:
        """Say what is known of a token by its digest, now or a moment ago.

        Args:
            digest: Its SHA-256.

        Returns:
            Whose it is.

        Raises:
            Unavailable: The database is away.
        """
        if self._database is None:
            return Known(0.0, None, any_token=False)
        known = self._right.get(digest) or self._wrong.get(digest)
        if known is not None:
            return known
        # The time before it is asked: what it says may be old by the time it is here.
        now = time.monotonic()
        found, any_token = self._database.call(CHECK_TOKEN, b"\\x" + digest.hex().encode())
        if found is None:
            unknown = Known(now + min(_UNKNOWN_SECONDS, self._cache_seconds), None, any_token=any_token == b"true")
            self._wrong.put(digest, unknown)
            return unknown
        token = json.loads(found)
        left = token["secondsLeft"]
        seconds = self._cache_seconds if left is None else min(self._cache_seconds, left)
        scopes = frozenset(ALL_SCOPES if "admin" in token["scopes"] else token["scopes"])
        prefix: str = token["jobPrefix"]
        who = Caller(token["name"], scopes, prefix, prefix.encode() or None)
        right = Known(now + seconds, who, any_token=True)
        self._right.put(digest, right)
        return right
