"""Tables: texts in columns below headings, laid out by rich."""

import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tallymark.terminal.text import cut, plain

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


class _Ends:
    """A cell of which both ends stay legible when it is shortened."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Sequence[Text]:
        return [cut(self._text, options.max_width, middle=True)]

    def __rich_measure__(self, _console: Console, _options: ConsoleOptions) -> Measurement:
        return Measurement(1, self._text.cell_len)


def table_lines(columns: Sequence[Column], rows: Sequence[Sequence[Text]], room: int | None) -> list[Text]:
    """Lay out a table: a line of headings and one for each row. Columns without any text are left out."""
    kept = [place for place in range(len(columns)) if any(row[place].plain for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    least = _GAP * (len(kept) - 1)
    for place in kept:
        column = columns[place]
        heading = cell_len(column.heading)
        longest = max(heading, *(row[place].cell_len for row in rows))
        shortest = longest if column.least is None else min(longest, max(column.least, heading))
        least += shortest
        table.add_column(
            Text(column.heading),
            justify="right" if column.right else "left",
            overflow="ellipsis",
            no_wrap=column.least is None,
            min_width=shortest,
        )
    for row in rows:
        table.add_row(*(_cell(columns[place], row[place]) for place in kept))
    # Below that width rich would drop whole columns: such a narrow terminal shows the left part of the table.
    lines = _laid_out(table, None if room is None else max(room, least))
    return lines if room is None else [cut(line, room) for line in lines]


def folded_lines(
    headings: Sequence[str], rows: Iterable[Sequence[str]], room: int | None, *, whole: str = ""
) -> list[Text]:
    """Lay out a table in which long texts go on in the next line, except in the column with the heading `whole`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(Text(heading), overflow="fold", no_wrap=heading == whole)
    for row in rows:
        table.add_row(*(Text(plain(text)) for text in row))
    return _laid_out(table, room)


def _laid_out(table: Table, room: int | None) -> list[Text]:
    options = _LAYOUT.options.update(max_width=_UNLIMITED if room is None else room)
    lines = []
    for segments in _LAYOUT.render_lines(table, options, pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        lines.append(line)
    return lines


def _cell(column: Column, text: Text) -> Text | _Ends:
    if column.middle:
        return _Ends(text)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
