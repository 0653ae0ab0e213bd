"""When nothing is reported, and what the spider has in place of its job then."""

import inspect
import json
from typing import TYPE_CHECKING, Any

from tallymark.client import Answer, ProgressClient

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

#: Scrapy's commands that only try something out. Others, also those of a project, crawl.
_TRYING = {f"scrapy.commands.{name}": name for name in ("bench", "check", "fetch", "parse", "shell", "view")}


def why_off(settings: "BaseSettings") -> tuple[str, bool] | None:
    """Return why nothing is to be reported, and whether that is as somebody wished; None if it is to be reported."""
    if not settings.getbool("TALLYMARK_ENABLED", True):
        return "TALLYMARK_ENABLED is false", True
    if (command := trying_command()) is not None:
        return f"`scrapy {command}` is no crawl", True
    if not settings.get("TALLYMARK_URL"):
        return "TALLYMARK_URL is not set; set it, or set TALLYMARK_ENABLED to False", False
    if not settings.get("TALLYMARK_TOKEN"):
        return "TALLYMARK_URL is set, but TALLYMARK_TOKEN is not: set both", False
    return None


def trying_command() -> str | None:
    """Return the name of the command that runs, if it is one of Scrapy's that only try something out."""
    # Scrapy does not say which command makes a crawler. The command is on the stack while extensions are made.
    frame = inspect.currentframe()
    while frame is not None:
        if "self" in frame.f_code.co_varnames:
            for class_ in type(frame.f_locals.get("self")).__mro__:
                if class_.__module__ in _TRYING:
                    return _TRYING[class_.__module__]
        frame = frame.f_back
    return None


class _Nowhere:
    """Acknowledges every request, and sends nothing."""

    def post(self, path: str, body: str, *, timeout: float) -> Answer:  # noqa: ARG002 - see `Transport`
        """See `Transport`."""
        sent = json.loads(body)
        if path.endswith("/progress"):
            return Answer(200, [_taken(each) for each in sent] if isinstance(sent, list) else _taken(sent))
        if path.endswith("/unseen"):
            return Answer(200, {"unseen": sent.get("keys", [])})
        if path.endswith("/alive"):
            return Answer(200, {"command": None})
        return Answer(201, {"id": sent.get("taskId")})

    def close(self) -> None:
        """See `Transport`."""


def _taken(update: dict[str, Any]) -> dict[str, Any]:
    keys = {type_: len(set(keys)) for type_, keys in (update.get("itemKeys") or {}).items()}
    return {
        "status": "received",
        "duplicate": False,
        "resume": {"doneBeyond": []},
        **({"counted": keys, "seenBefore": dict.fromkeys(keys, 0)} if keys else {}),
    }


def client_to_nowhere() -> ProgressClient:
    """Return a client whose jobs take every report, so that spiders need not ask whether there is one."""
    return ProgressClient("http://nowhere.invalid", token="-", transport=_Nowhere())  # noqa: S106 - it is sent nowhere
