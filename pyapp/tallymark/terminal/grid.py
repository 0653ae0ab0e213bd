"""Columns: texts in rows, below headings, made to fit the room there is."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from tallymark.terminal.text import cut

#: Between two columns.
GAP = "  "
#: Up to which width a column is filled up where nothing ends the line; a longer text pushes its own row to the right.
_FILLED = 40


class Column(NamedTuple):
    """A column.

    Attributes:
        heading: What stands above it.
        least: To how many columns of the terminal it may shrink; None: it does not.
        right: Whether its texts stand at the right.
        middle: Whether a text that is too long loses its middle rather than its end.
    """

    heading: str
    least: int | None = None
    right: bool = False
    middle: bool = False


def grid(columns: Sequence[Column], rows: Sequence[Sequence[Text]], room: int | None) -> list[Text]:
    """Put texts in columns. A column in which no row has anything is left out.

    Args:
        columns: The columns.
        rows: A text for each column.
        room: How wide the screen is; None is wide enough for anything.

    Returns:
        A line of headings, and one for each row.
    """
    kept = [place for place in range(len(columns)) if any(row[place].plain for row in rows)]
    shown = [columns[place] for place in kept]
    widths = [
        max(cell_len(column.heading), *(row[place].cell_len for row in rows))
        for place, column in zip(kept, shown, strict=True)
    ]
    if room is None:
        widths = [min(width, _FILLED) for width in widths]
    else:
        _shrink(widths, shown, room - len(GAP) * (len(shown) - 1))
    headings = [Text(column.heading, "bold") for column in shown]
    table = [headings, *([row[place] for place in kept] for row in rows)]
    return [_line(texts, shown, widths, room) for texts in table]


def _shrink(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Make the widest columns narrower, those that may be, until all fit or none can."""
    while (excess := sum(widths) - room) > 0:
        # The heading stays legible, too.
        spare = {
            place: widths[place] - max(column.least, len(column.heading))
            for place, column in enumerate(columns)
            if column.least is not None
        }
        wide = [place for place in sorted(spare, key=lambda place: widths[place]) if spare[place] > 0]
        if not wide:
            return
        widest = wide[-1]
        # Down to the next widest at once, since an id may have 255 letters, each spelt out with ten.
        step = max(widths[widest] - widths[wide[-2]], 1) if len(wide) > 1 else excess
        widths[widest] -= min(step, spare[widest], excess)


def _line(texts: Sequence[Text], columns: Sequence[Column], widths: Sequence[int], room: int | None) -> Text:
    line = Text()
    for place, (text, column, width) in enumerate(zip(texts, columns, widths, strict=True)):
        if place:
            line.append(GAP)
        fitting = text if room is None else cut(text, width, middle=column.middle)
        blank = " " * (width - fitting.cell_len)
        line.append_text(Text.assemble(blank, fitting) if column.right else Text.assemble(fitting, blank))
    line.rstrip()
    return line if room is None else cut(line, room)
