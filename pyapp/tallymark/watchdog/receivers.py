"""The receivers of messages, each named by an Apprise URL."""

import hashlib
import io
import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from apprise import NotifyBase


class ReceiversError(Exception):
    """A URL cannot be used. The message says which, without the secrets in it."""


class Sent(NamedTuple):
    """The receivers that have a message, by their digests, and why the others do not have it; empty if all do."""

    delivered_to: list[str]
    error: str


class Receivers:
    """All receivers of messages, made from Apprise URLs."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._receivers: dict[str, NotifyBase] = {}
        if not urls:
            return
        # Imported here, since it takes half a second.
        import apprise

        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        wrong = []
        for number, url in enumerate(urls, 1):
            receiver = apprise.Apprise.instantiate(url)
            if receiver is None:
                wrong.append(f"number {number} ({url.partition('://')[0]}://...)")
            else:
                self._receivers[hashlib.sha256(url.encode()).hexdigest()[:16]] = receiver
        if wrong:
            raise ReceiversError(
                f"of the URLs to send alerts to, {', '.join(wrong)} cannot be used: they must be Apprise URLs"
            )

    def __len__(self) -> int:
        return len(self._receivers)

    def send(self, title: str, body: str, *, recovered: bool, without: Collection[str] = ()) -> Sent:
        """Send a message to all receivers but those that have it, which `without` names by their digests."""
        delivered, errors = [digest for digest in without if digest in self._receivers], []
        for digest, receiver in self._receivers.items():
            if digest in delivered:
                continue
            error = _send(receiver, title, body, recovered=recovered)
            if error:
                errors.append(f"{receiver.service_name} {digest}: {error}")
            else:
                delivered.append(digest)
        return Sent(delivered, "; ".join(errors))


def _send(receiver: "NotifyBase", title: str, body: str, *, recovered: bool) -> str:
    """Send to one receiver; return why it failed, or nothing."""
    import apprise

    kind = apprise.NotifyType.SUCCESS if recovered else apprise.NotifyType.FAILURE
    said = io.StringIO()
    logger = logging.getLogger("apprise")
    handler = logging.StreamHandler(said)
    # Apprise says only in its log why something failed.
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        if receiver.notify(body=body, title=title, notify_type=kind):
            return ""
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the other receivers get theirs
        return f"{type(error).__name__}: {error}"
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
    return " ".join(said.getvalue().split())[:300] or "the receiver did not accept it"
