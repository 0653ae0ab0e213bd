"""Where the run is shown: drawn in a terminal, each picture over the one before, or told line by line."""

import io
import re
import time
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from tallymark.simulate.crowd import Crowd
from tallymark.simulate.picture import crowd_lines, figures, summary_line
from tallymark.terminal.screen import picture
from tallymark.terminal.text import cut

_LINE_SECONDS = 5.0
#: A picture for the documentation is made of a screen of this size, this far into the run.
_SVG_SIZE, _SVG_AT = (120, 30), 0.6


class TableView:
    """A table that is drawn again and again."""

    def __init__(self, console: Console, svg: Path | None = None) -> None:
        """Draw nothing yet.

        Args:
            console: A terminal.
            svg: A file for a picture of the middle of the run.
        """
        self._console = console
        self._svg = svg
        self._size = console.size
        self._live: Live | None = None
        self._next = 0.0
        self._last: tuple[Crowd, str] | None = None

    def work(self, crowd: Crowd, doing: str) -> None:
        """Draw the crowd; not more often than anybody can see."""
        self._last = (crowd, doing)
        if time.monotonic() >= self._next:
            self._draw(crowd, doing)

    def _draw(self, crowd: Crowd, doing: str) -> None:
        self._next = time.monotonic() + 0.1
        if self._svg is not None and crowd.elapsed > crowd.options.seconds * _SVG_AT:
            _save(crowd, doing, self._svg)
            self._svg = None
        size = self._console.size
        if size != self._size and self._live is not None:
            # The terminal has broken the lines of the old picture anew; where it begins now nobody knows.
            self._stop()
            self._console.clear()
        self._size = size
        drawn = picture(
            self._console, [cut(line, size.width) for line in _lines(crowd, doing, size)][: size.height - 1]
        )
        if self._live is None:
            self._live = Live(drawn, console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start(refresh=True)
        else:
            self._live.update(drawn, refresh=True)

    def close(self) -> None:
        """Leave the last picture as it is."""
        if self._last is not None:
            self._draw(*self._last)
        self._stop()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class LineView:
    """A line now and then, on standard error: standard output is for what came of it."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_SECONDS

    def work(self, crowd: Crowd, doing: str) -> None:
        """Tell how far it is, every few seconds."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_SECONDS
            click.echo(summary_line(figures(crowd.crawlers), doing).plain, err=True)

    def close(self) -> None:
        """Do nothing: every line is out."""


def _lines(crowd: Crowd, doing: str, size: tuple[int, int]) -> list[Text]:
    at_work = [base for base in crowd.at_work if base is not None]
    return crowd_lines(at_work, size, summary_line(figures(crowd.crawlers), doing))


def _save(crowd: Crowd, doing: str, file: Path) -> None:
    width, height = _SVG_SIZE
    console = Console(
        record=True, file=io.StringIO(), width=width, height=height, force_terminal=True, highlight=False, markup=False
    )
    console.print(picture(console, _lines(crowd, doing, _SVG_SIZE)), soft_wrap=True)
    drawn = console.export_svg(title="tallymark simulate")
    # It would fetch fonts from elsewhere; any monospaced one does.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    file.write_text(re.sub(r"<!--.*?-->\s*", "", drawn, flags=re.DOTALL))
