"""What the server has refused of a job."""

from collections import deque

from tallymark.client.log import Seldom


class Refusals:
    """What the server refused: how often, and the newest as texts. Written by the sender's thread only."""

    def __init__(self) -> None:
        self.seldom = Seldom()
        self._texts: deque[str] = deque(maxlen=100)
        self.number = 0

    def add(self, why: str) -> None:
        """Note a refusal."""
        self._texts.append(why)
        self.number += 1

    def since(self, told: int) -> tuple[tuple[str, ...], int]:
        """Return those after the first `told` ones, as far as they are kept, and how many there were in all."""
        number, texts = self.number, list(self._texts)
        return tuple(texts[max(len(texts) - (number - told), 0) :]) if number > told else (), number
