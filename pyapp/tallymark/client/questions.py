"""What a crawl asks the server and waits for. The sender's thread asks, because it has the connection."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from tallymark.client.answers import OK
from tallymark.client.transport import Answer, as_json, job_path

#: The protocol allows 1000 keys in a question.
_MOST_KEYS = 1000
_MOST_BYTES = 256 * 1024


class Question(NamedTuple):
    """A request, and where its answer goes; None: there is none."""

    path: str
    body: str
    reply: SimpleQueue[Answer | None]


class Questions:
    """Questions that wait for the sender's thread. Safe across threads."""

    def __init__(self) -> None:
        self._waiting: deque[Question] = deque()

    def __bool__(self) -> bool:
        """Return whether any waits."""
        return bool(self._waiting)

    def ask(self, path: str, body: str) -> Question:
        """Add a question; the sender has to be woken."""
        question = Question(path, body, SimpleQueue())
        self._waiting.append(question)
        return question

    def answer(self, post: Callable[[str, str], Answer | None]) -> None:
        """Answer all that wait. `post`: sends a request, and returns None if no answer came."""
        while self._waiting:
            question = self._waiting.popleft()
            answer = None
            try:
                answer = post(question.path, question.body)
            finally:
                question.reply.put(answer)

    def drop(self) -> None:
        """Answer all that wait with None."""
        self.answer(lambda _path, _body: None)


def wait_for(question: Question, is_in_vain: Callable[[], bool]) -> Answer | None:
    """Wait for an answer; None if none will come."""
    while True:
        try:
            return question.reply.get(timeout=0.2)
        except Empty:
            if is_in_vain():
                return None


def parts_of_keys(keys: Sequence[str]) -> list[list[str]]:
    """Divide keys into parts that fit into a question each."""
    parts: list[list[str]] = []
    size = 0
    for key in keys:
        its = len(json.dumps(key, ensure_ascii=False).encode()) + 1
        if not parts or len(parts[-1]) >= _MOST_KEYS or size + its > _MOST_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(key)
        size += its
    return parts


def unseen_question(job_id: str, type_: str, keys: Sequence[str]) -> tuple[str, str]:
    """Return path and body of the question which of some keys are not counted yet."""
    return job_path(job_id, "unseen"), as_json({"type": type_, "keys": keys})


def unseen_in(answer: Answer | None) -> list[str] | None:
    """Return the keys in an answer to that question; None if it does not say."""
    if answer is None or answer.status != OK or not isinstance(answer.body, dict):
        return None
    unseen = answer.body.get("unseen")
    # The crawl would end by what is no key.
    return unseen if isinstance(unseen, list) and all(isinstance(key, str) for key in unseen) else None
