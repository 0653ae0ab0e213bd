"""What the server's answers mean."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any

from tallymark.client.transport import Answer

OK = 200
BAD = 400
UNAUTHORIZED = 401
FORBIDDEN = 403
UNKNOWN = 404
TOO_LARGE = 413
TOO_MANY = 429
#: Refusals: sending the same update again would not help.
REFUSALS = {BAD, FORBIDDEN, UNKNOWN, TOO_LARGE}
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_ASKED_PAUSE_SECONDS = 120.0
#: How long no request is sent after the server refused the token.
_UNAUTHORIZED_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class Pauses:
    """Failures since the last success, and the time until which no request is sent; monotonic, in seconds."""

    retries: int
    failures: int = 0
    until: float = 0.0

    @property
    def is_away(self) -> bool:
        """Whether the server counts as away."""
        return self.failures > self.retries

    def failed(self, now: float, retry_after: float | None = None) -> "Pauses":
        """Return the pauses after a failure. They grow, and `retry_after` of the server may lengthen them."""
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self.failures, 10))
        # So that crawlers do not all return at once. Without the crawl's own random numbers: it may have seeded them.
        pause = SystemRandom().uniform(0.5, 1.0) * longest
        if retry_after is not None:
            pause = max(pause, min(retry_after, _LONGEST_ASKED_PAUSE_SECONDS))
        return replace(self, failures=self.failures + 1, until=now + pause)

    def unauthorized(self, now: float) -> "Pauses":
        """Return the pauses after a refused token: repeating is useless, so the server counts as away at once."""
        return replace(self, failures=max(self.failures, self.retries) + 1, until=now + _UNAUTHORIZED_PAUSE_SECONDS)

    def given_up(self) -> "Pauses":
        """Count the server as away, because a job waited in vain."""
        return replace(self, failures=max(self.failures, self.retries + 1))

    def tried_again(self, now: float) -> "Pauses":
        """Allow one more attempt now, unless the token was refused recently."""
        if self.until - now >= _UNAUTHORIZED_PAUSE_SECONDS / 2:
            return self
        return replace(self, failures=min(self.failures, max(self.retries - 1, 0)), until=0.0)

    def succeeded(self) -> "Pauses":
        """Return the pauses after a success: none."""
        return Pauses(self.retries)


def answers_to_each(answer: Answer, updates: int) -> list[Mapping[str, Any]] | None:
    """Return the acknowledgement or refusal of each update; None if the answer does not have them."""
    body = answer.body
    if updates > 1:
        fits = answer.status == OK and isinstance(body, list) and len(body) == updates
        return body if fits and all(isinstance(each, dict) for each in body) else None
    if answer.status == TOO_LARGE:
        # A proxy in front of the server may have answered, with a body of its own.
        return [{"error": "Payload too large", **(body if isinstance(body, dict) else {}), "status": TOO_LARGE}]
    if not isinstance(body, dict):
        return None
    if answer.status == OK:
        return [body] if body.get("status") == "received" else None
    # A 404 of another server, at a wrong address, is not a refusal of the update.
    if answer.status in REFUSALS and isinstance(body.get("error"), str) and body.get("status") == answer.status:
        return [body]
    return None


def error_of(answer: Answer) -> str | None:
    """Return the member `error` of an answer."""
    return answer.body.get("error") if isinstance(answer.body, dict) else None


def why_refused(answer: Mapping[str, Any]) -> str:
    """Return a refusal as text for people."""
    details = answer.get("details") or []
    problems = [f"{problem.get('field')} {problem.get('problem')}" for problem in details if isinstance(problem, dict)]
    return f"{answer.get('error')}{': ' if problems else ''}{'; '.join(problems)}"
