"""Prints the figures: a line each for machines, a table for people, and a file of everything."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Plan

#: Where the output is no terminal, nothing is to be wrapped.
_WIDE = 160


def table(figures: Sequence[Figure], plan: Plan, around: Mapping[str, Any]) -> None:
    """Print the table: what, goal, figure, runs, machine."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("what", overflow="fold")
    shown.add_column("figure", justify="right", no_wrap=True)
    shown.add_column("lowest..highest", justify="right", no_wrap=True)
    shown.add_column("runs", justify="right")
    shown.add_column("goal", no_wrap=True)
    for figure in figures:
        spread = figure.spread
        shown.add_row(
            "\n  ".join((f"{figure.name}: {figure.what}", *figure.notes)),
            f"{spread.median:.3f}",
            f"{spread.low:.3f}..{spread.high:.3f}",
            str(len(spread.values)),
            figure.verdict,
        )
    console.print(shown)
    facts = ", ".join(f"{name} {fact}" for name, fact in around.items())
    console.print(f"slices of {plan.seconds} s, in turns; {facts}")
    if plan.quick:
        console.print("--quick: on a tenth of the data. This shows that the harness works, not how fast Tallymark is.")


def save(file: TextIO, figures: Sequence[Figure], plan: Plan, around: Mapping[str, Any]) -> None:
    """Write everything that was measured to a file."""
    content = {
        "plan": {"seconds": plan.seconds, "pairs": plan.pairs, "quick": plan.quick},
        "machine": dict(around),
        "figures": [figure.as_json() for figure in figures],
    }
    file.write(json.dumps(content, indent=2) + "\n")
