"""Who is told: receivers of messages, each named by a URL as apprise takes it."""

import hashlib
import io
import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from apprise import NotifyBase


class ReceiversError(Exception):
    """A URL is none that can be sent to. The message says which, without what is secret in it."""


class Sent(NamedTuple):
    """What became of a message.

    Attributes:
        delivered_to: The receivers that have it, by their digests.
        error: Why the others do not; empty where all have it.
    """

    delivered_to: list[str]
    error: str


class Receivers:
    """All receivers of messages. With none, whatever is sent has been delivered: it is on the record, and printed."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Take them.

        Args:
            urls: Where to send, as apprise takes it.

        Raises:
            ReceiversError: One of them is nothing that apprise knows.
        """
        self._receivers: dict[str, NotifyBase] = {}
        if not urls:
            return
        # It takes half a second, and most commands have no use for it.
        import apprise

        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        wrong = []
        for number, url in enumerate(urls, 1):
            receiver = apprise.Apprise.instantiate(url)
            if receiver is None:
                wrong.append(f"the {number}. ({url.partition('://')[0]}://...)")
            else:
                self._receivers[hashlib.sha256(url.encode()).hexdigest()[:16]] = receiver
        if wrong:
            raise ReceiversError(f"of the URLs to send alerts to, {', '.join(wrong)} cannot be used")

    def __len__(self) -> int:
        """How many there are."""
        return len(self._receivers)

    def send(self, title: str, body: str, *, recovered: bool, without: Collection[str] = ()) -> Sent:
        """Send a message to each of them.

        Args:
            title: One line.
            body: Text.
            recovered: Whether it says that something is over.
            without: The digests of those that have it.

        Returns:
            What became of it.
        """
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
    """Send to one; return why it could not be, empty where it was."""
    import apprise

    kind = apprise.NotifyType.SUCCESS if recovered else apprise.NotifyType.FAILURE
    said = io.StringIO()
    logger = logging.getLogger("apprise")
    handler = logging.StreamHandler(said)
    # Apprise tells by its log alone why something failed.
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        if receiver.notify(body=body, title=title, notify_type=kind):
            return ""
    except Exception as error:  # noqa: BLE001 - whatever a plugin of a service raises, the others are to be told
        return f"{type(error).__name__}: {error}"
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
    return " ".join(said.getvalue().split())[:300] or "it was not taken"
