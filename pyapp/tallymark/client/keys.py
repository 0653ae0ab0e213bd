"""The keys of items: as they are sent, and the digests by which the client remembers them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tallymark.client.checks import KEY, check_text, exact
from tallymark.client.records import Waiting
from tallymark.client.transport import as_json
from tallymark.client.updates import LONGEST_KEY, clean


def check_key(key: object) -> str:
    """Return a key, or raise. One that is too long is sent as a digest; an empty one is a mistake."""
    if not isinstance(key, str) or not key:
        check_text("key", key, KEY)
    return exact(key)  # type: ignore[arg-type]  # `check_text` has raised, otherwise


def as_sent(key: str) -> str:
    """Return a key as it is sent: itself, or its SHA-256 if it is too long or not text for PostgreSQL.

    So the same key is always sent in the same way, by any client.
    """
    if len(key) <= LONGEST_KEY and clean(key) == key:
        return key
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def digest(type_: str, key: str) -> bytes:
    """Return the digest that stands for an item's key among those of its type."""
    return hashlib.blake2b(f"{type_}\0{key}".encode("utf-8", "surrogatepass"), digest_size=17).digest()


def digest_of_any_type(key: str) -> bytes:
    """Return the digest that clients of earlier releases stored, for all types."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def is_of_any_type(kept: bytes) -> bool:
    """Return whether a client of an earlier release has stored this digest."""
    return len(kept) == 16  # noqa: PLR2004 - those of today are one byte longer


def as_counts(row: Waiting, answer: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the id and text of an update that counts what this one has keys of, if the server did not count them.

    A server of an earlier release takes `itemKeys` for a field of the crawler's own. All else in the update was taken.
    """
    if "counted" in answer or '"itemKeys"' not in row.text:
        return None
    payload = json.loads(row.text)
    keys = payload.get("itemKeys")
    if not keys:
        return None
    instead = {
        **{name: payload[name] for name in ("taskId", "timestamp", "workerId") if name in payload},
        "status": "processing",
        "updateId": f"{row.update_id}-counts",
        "itemsByType": {type_: len(each) for type_, each in keys.items()},
    }
    return instead["updateId"], as_json(instead)
