"""Tables: texts in columns below headings, laid out by rich."""

import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tallymark.plain import plain
from tallymark.terminal.text import cut

_GAP = 2
#: As wide as any table gets where nothing is cut.
_UNLIMITED = 1_000_000
#: Only lays tables out; what it is given is printed elsewhere.
_LAYOUT = Console(file=io.StringIO(), width=_UNLIMITED)


class Column(NamedTuple):
    """A column: its heading, and to how many columns of the terminal it may shrink (None: it does not).

    `middle`: a text that is too long loses its middle rather than its end.
    """

    heading: str
    least: int | None = None
    right: bool = False
    middle: bool = False


def table_lines(columns: Sequence[Column], rows: Sequence[Sequence[Text]], room: int | None) -> list[Text]:
    """Lay out a table: a line of headings and one for each row. Columns without any text are left out."""
    kept = [place for place in range(len(columns)) if any(row[place].plain for row in rows)]
    longest = {place: max(cell_len(columns[place].heading), *(row[place].cell_len for row in rows)) for place in kept}
    widths = longest if room is None else _fitting(columns, longest, room - _GAP * (len(kept) - 1))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place in kept:
        column = columns[place]
        table.add_column(
            Text(column.heading),
            justify="right" if column.right else "left",
            width=widths[place],
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(cut(row[place], widths[place], middle=columns[place].middle) for place in kept))
    lines = _laid_out(table, _UNLIMITED)
    return lines if room is None else [cut(line, room) for line in lines]


def _fitting(columns: Sequence[Column], longest: dict[int, int], room: int) -> dict[int, int]:
    """Share room among columns: first what each needs at least, maybe more than there is, then the narrowest grow."""
    widths = {}
    for place, most in longest.items():
        column = columns[place]
        widths[place] = most if column.least is None else min(most, max(column.least, cell_len(column.heading)))
    for _ in range(room - sum(widths.values())):
        if growing := [place for place in widths if widths[place] < longest[place]]:
            widths[min(growing, key=lambda place: widths[place])] += 1
    return widths


def folded_lines(
    headings: Sequence[str], rows: Iterable[Sequence[str]], room: int | None, *, whole: str = ""
) -> list[Text]:
    """Lay out a table in which long texts go on in the next line, except in the column with the heading `whole`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(Text(heading), overflow="fold", no_wrap=heading == whole)
    for row in rows:
        table.add_row(*(Text(plain(text)) for text in row))
    return _laid_out(table, _UNLIMITED if room is None else room)


def _laid_out(table: Table, width: int) -> list[Text]:
    lines = []
    for segments in _LAYOUT.render_lines(table, _LAYOUT.options.update(max_width=width), pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        lines.append(line)
    return lines
