"""What the server's answers mean."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import uniform
from typing import Any

from tallymark.client.records import Waiting
from tallymark.client.transport import Answer, as_json

OK = 200
CREATED = 201
BAD = 400
UNAUTHORIZED = 401
FORBIDDEN = 403
UNKNOWN = 404
TOO_LARGE = 413
#: The statuses of a refusal that only another update can help.
REFUSALS = {BAD, FORBIDDEN, UNKNOWN, TOO_LARGE}
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_ASKED_PAUSE_SECONDS = 120.0
#: How long nothing is tried after the server did not take the token.
_UNAUTHORIZED_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class Pauses:
    """How often the server failed without a success between, and until when it is left alone; monotonic, in seconds."""

    retries: int
    failures: int = 0
    until: float = 0.0

    @property
    def is_away(self) -> bool:
        """Whether the server does not answer, by all that was tried."""
        return self.failures > self.retries

    def failed(self, now: float, retry_after: float | None = None) -> "Pauses":
        """Return what follows a failure: pauses grow, and the server may ask for longer ones."""
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self.failures, 10))
        pause = uniform(0.5, 1.0) * longest  # noqa: S311 - so that not all crawlers come back at once
        if retry_after is not None:
            pause = max(pause, min(retry_after, _LONGEST_ASKED_PAUSE_SECONDS))
        return replace(self, failures=self.failures + 1, until=now + pause)

    def unauthorized(self, now: float) -> "Pauses":
        """Return what follows a refused token: further tries make no sense, so it counts as away at once."""
        return replace(self, failures=max(self.failures, self.retries) + 1, until=now + _UNAUTHORIZED_PAUSE_SECONDS)

    def given_up(self) -> "Pauses":
        """Count the server as away: somebody waited in vain."""
        return replace(self, failures=max(self.failures, self.retries + 1))

    def tried_again(self, now: float) -> "Pauses":
        """Try once more now, unless the token was refused a moment ago."""
        if self.until - now >= _UNAUTHORIZED_PAUSE_SECONDS / 2:
            return self
        return replace(self, failures=min(self.failures, max(self.retries - 1, 0)), until=0.0)

    def succeeded(self) -> "Pauses":
        """Begin again with nothing."""
        return Pauses(self.retries)


def answers_to_each(answer: Answer, updates: int) -> list[Mapping[str, Any]] | None:
    """Return an acknowledgement or a refusal for each of so many updates; None where the answer does not say that."""
    body = answer.body
    if updates > 1:
        fits = answer.status == OK and isinstance(body, list) and len(body) == updates
        return body if fits and all(isinstance(each, dict) for each in body) else None
    if answer.status == TOO_LARGE:
        # A proxy before the server may have said so, in words of its own.
        return [{"error": "Payload too large", **(body if isinstance(body, dict) else {}), "status": TOO_LARGE}]
    if not isinstance(body, dict):
        return None
    if answer.status == OK:
        return [body] if body.get("status") == "received" else None
    # Another server's 404, at a wrong address, is no refusal of the update.
    if answer.status in REFUSALS and isinstance(body.get("error"), str) and body.get("status") == answer.status:
        return [body]
    return None


def error_of(answer: Answer) -> str | None:
    """Return what an answer calls the error, if it does."""
    return answer.body.get("error") if isinstance(answer.body, dict) else None


def why_refused(answer: Mapping[str, Any]) -> str:
    """Return a refusal as people read it."""
    details = answer.get("details") or []
    problems = [f"{problem.get('field')} {problem.get('problem')}" for problem in details if isinstance(problem, dict)]
    return f"{answer.get('error')}{': ' if problems else ''}{'; '.join(problems)}"


def without_what_is_wrong(row: Waiting, answer: Mapping[str, Any]) -> tuple[str, str] | None:
    """Leave out of an update what the server named, so that one bad field does not cost the counts beside it.

    Returns the id and the text of what is left; None where nothing can be done.
    """
    if answer.get("status") != BAD or row.update_id.endswith("-mended"):
        return None
    payload = json.loads(row.text)
    needed = {"taskId", "status", "timestamp", "updateId"}
    if "itemsByType" in payload:
        # Counts must not go without the cursor and the state that belong to them, nor be left out unseen.
        needed |= {"itemsByType", "processedItems", "lastProcessedId", "progress"}
    for problem in answer.get("details") or []:
        name, _, inner = str(problem.get("field")).partition(".")
        if name in needed or name not in payload:
            return None
        if inner and isinstance(payload[name], dict) and inner in payload[name]:
            del payload[name][inner]
        else:
            del payload[name]
    if not answer.get("details"):
        return None
    payload["updateId"] = f"{row.update_id}-mended"
    return payload["updateId"], as_json(payload)
