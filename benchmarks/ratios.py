"""Ratios of two speeds, measured in turns: what slows the machine down for a while slows both sides."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

#: Runs one side for one slice. Its argument is the number of the pair, 0 for the warm-up; it returns a speed.
Side = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing.

    Attributes:
        values: The measurements in the order in which they were made; at least one.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a spread needs at least one measurement")

    @property
    def median(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def low(self) -> float:
        """The lowest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The highest."""
        return max(self.values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides, measured in turns.

    Attributes:
        first: The speeds of the first side, a slice each.
        second: Those of the second side; each was measured right after the first side's of the same place.
        shown: The format of a speed, for people.
    """

    first: Spread
    second: Spread
    shown: str = "{:,.0f}/s"

    def __post_init__(self) -> None:
        if len(self.first.values) != len(self.second.values):
            raise ValueError("a comparison needs as many measurements of one side as of the other")

    @property
    def ratios(self) -> Spread:
        """How many times as fast as the second side the first one was, pair by pair."""
        return Spread(tuple(a / b for a, b in zip(self.first.values, self.second.values, strict=True)))

    @property
    def speeds(self) -> str:
        """Both sides' median speeds, for people."""
        return f"{self.shown.format(self.first.median)} against {self.shown.format(self.second.median)}"


def compare(first: Side, second: Side, pairs: int, say: Callable[[str], None], shown: str = "{:,.0f}/s") -> Comparison:
    """Measure two sides in turns, A B A B and so on, after a warm-up of each that does not count.

    Args:
        first: The side that is divided.
        second: The side that it is divided by.
        pairs: How many slices of each count.
        say: Told how far it is.
        shown: The format of what the sides return.

    Returns:
        All measurements.
    """
    say("warming up")
    first(0)
    second(0)
    speeds: list[tuple[float, float]] = []
    for pair in range(1, pairs + 1):
        a = first(pair)
        b = second(pair)
        speeds.append((a, b))
        say(f"pair {pair} of {pairs}: {shown.format(a)} against {shown.format(b)} is {a / b:.3f}")
    return Comparison(Spread(tuple(a for a, _ in speeds)), Spread(tuple(b for _, b in speeds)), shown)
