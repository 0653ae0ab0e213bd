"""What comes out of a benchmark: figures, their goals, and the machine that they were measured on."""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ratios import Spread


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be. Nothing fails where it is not.

    Attributes:
        limit: In the unit of the figure.
        at_most: Whether the figure is to stay below the limit, instead of reaching it.
    """

    limit: float
    at_most: bool = False

    def verdict(self, value: float) -> str:
        """Say whether a value meets it.

        Returns:
            Such as `goal >= 0.80 met`.
        """
        met = value < self.limit if self.at_most else value >= self.limit
        shown = f"< {self.limit:g}" if self.at_most else f">= {self.limit:.2f}"
        return f"goal {shown} {'met' if met else 'missed'}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the outcome.

    Attributes:
        name: What `--only` calls it.
        what: What it is, for people; with its unit where it is no ratio.
        spread: The measurements; the figure is their median.
        goal: What it should be, or None.
        notes: What else there is to know, a line each.
        details: What else was measured, for `--json`, by its name; each has a value a slice.
    """

    name: str
    what: str
    spread: Spread
    goal: Goal | None = None
    notes: tuple[str, ...] = ()
    details: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The figure for machines: its name and the value."""
        return f"{self.name} {self.spread.median:.2f}"

    @property
    def verdict(self) -> str:
        """Whether it met its goal."""
        return self.goal.verdict(self.spread.median) if self.goal else "no goal"

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` writes it."""
        return {
            "name": self.name,
            "what": self.what,
            "value": self.spread.median,
            "runs": list(self.spread.values),
            "verdict": self.verdict,
            "notes": list(self.notes),
            "details": {name: list(values) for name, values in self.details.items()},
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often to measure, and on how much data.

    Attributes:
        seconds: The length of one slice.
        pairs: How many slices of each side.
        quick: Whether a fraction of the data will do: the figures then only show that the harness works.
        wanted: The names of the figures that are asked for; None means all.
        before: The commit that this tree is compared with, if any.
    """

    seconds: int = 5
    pairs: int = 5
    quick: bool = False
    wanted: frozenset[str] | None = None
    before: str | None = None

    def wants(self, *names: str) -> bool:
        """Whether one of these figures is asked for.

        Returns:
            True where nothing in particular was asked for.
        """
        return self.wanted is None or not self.wanted.isdisjoint(names)

    def size(self, full: int) -> int:
        """Return how much data to use, of what a full run has.

        Returns:
            All of them, or a tenth.
        """
        return max(1, full // 10) if self.quick else full


Say = Callable[[str], None]


def machine() -> dict[str, Any]:
    """Describe the machine, and how busy it is with other things.

    Returns:
        Facts by their names, ready for JSON.
    """
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def filesystem(directory: Path) -> str:
    """Say what kind of file system a directory is on: on tmpfs, a durable write costs nothing.

    Returns:
        Such as ext4.
    """
    place = directory.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if place.is_relative_to(part.mountpoint)]
    # Of two mounts on the same directory the later one is the one that is seen.
    known = ((len(part.mountpoint), place_in_list, part.fstype) for place_in_list, part in enumerate(mounts))
    return max(known, default=(0, 0, "unknown"))[2]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
