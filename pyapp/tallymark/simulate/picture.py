"""The run as people see it: drawn in a terminal, each picture over the one before, or printed line by line."""

import io
import re
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tallymark.plain import plain
from tallymark.simulate.crawler import Crawler
from tallymark.simulate.crowd import Crowd
from tallymark.simulate.verdict import Difference, Verdict, add_up
from tallymark.terminal.screen import Screen, picture, say
from tallymark.terminal.tables import Column, table_lines
from tallymark.terminal.text import bar, count, status_style, wrapped

#: From this width on each kind of mischief has its own column.
_WIDE = 110
_WIDE_BAR, _NARROW_BAR = 20, 8
_DOING = len("collecting merge_requests")
#: Lines of the picture that are no jobs: the headings, an empty one, the summary's two, and that of the cursor.
_AROUND = 5
#: More differences than this are only counted.
_MOST_DIFFERENCES = 40
_PICTURE_SECONDS, _LINE_SECONDS = 0.2, 5.0
#: A picture for the documentation is made of a screen of this size, this far into the run.
_SVG_SIZE, _SVG_AT = (120, 30), 0.6

_JOB, _CRAWLER = Column("job", least=8, middle=True), Column("crawler")
_WORK = (Column("doing", least=16), Column("progress"), Column("items", right=True), Column("updates", right=True))
#: Columns about the network, and the kinds of mischief in them.
_MISCHIEF = {"lost": ("answer lost", "request lost"), "twice": ("twice",), "late": ("late",), "killed": ("killed",)}
_WIDE_COLUMNS = (_JOB, _CRAWLER, *_WORK, *(Column(kind, right=True) for kind in _MISCHIEF))
_NARROW_COLUMNS = (_JOB, *_WORK, Column("chaos", right=True))
_DIFFERENCE_COLUMNS = (
    Column("job", least=12, middle=True),
    Column("what", least=12),
    Column("counted", least=8),
    Column("true"),
)


class TableView:
    """A table that is drawn again and again; `svg` is a file for a picture of the middle of the run."""

    def __init__(self, console: Console, svg: Path | None = None) -> None:
        self._screen = Screen(console)
        self._svg = svg
        self._next = 0.0
        self._last: tuple[Crowd, str] | None = None

    def show(self, crowd: Crowd, doing: str) -> None:
        """Draw the crowd; not more often than anybody can see."""
        self._last = (crowd, doing)
        if time.monotonic() >= self._next:
            self._draw(crowd, doing)

    def _draw(self, crowd: Crowd, doing: str) -> None:
        self._next = time.monotonic() + _PICTURE_SECONDS
        if self._svg is not None and crowd.elapsed > crowd.options.seconds * _SVG_AT:
            _save(_crowd_lines(crowd, doing, _SVG_SIZE), self._svg)
            self._svg = None
        self._screen.draw(_crowd_lines(crowd, doing, self._screen.console.size))

    def close(self) -> None:
        """Draw the end, and leave it as it is."""
        if self._last is not None:
            self._draw(*self._last)
        self._screen.close()


class LineView:
    """A line every few seconds, on standard error: standard output is for the verdict."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_SECONDS

    def show(self, crowd: Crowd, doing: str) -> None:
        """Print how far it is, every few seconds."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_SECONDS
            say(_summary(add_up(crowd.crawlers), doing).plain, err=True)

    def close(self) -> None:
        """Do nothing: every line is out."""


def verdict_lines(verdict: Verdict, seed: int, room: int | None) -> list[Text]:
    """Return what is wrong, if anything is, and the verdict in a sentence."""
    sentence = wrapped(Text(verdict.sentence(), "green" if verdict.is_exact else "bold red"), room)
    if verdict.is_exact:
        return sentence
    shown = verdict.differences[:_MOST_DIFFERENCES]
    hidden = len(verdict.differences) - len(shown)
    return [
        *table_lines(_DIFFERENCE_COLUMNS, [_difference(each) for each in shown], room),
        *([Text(f"and {count(hidden, 'more difference')}")] if hidden else []),
        Text(f"to repeat these crawls: --seed {seed}"),
        *sentence,
    ]


def _difference(each: Difference) -> list[Text]:
    true = "" if each.true is None else plain(each.true)
    return [Text(plain(each.job_id), "bold"), Text(each.what), Text(plain(each.counted), "red"), Text(true)]


def _crowd_lines(crowd: Crowd, doing: str, size: tuple[int, int]) -> list[Text]:
    """Draw the crawlers at work, as many as fit, and below them what all have done."""
    width, height = size
    at_work = [crawler for crawler in crowd.at_work if crawler is not None]
    below = wrapped(_summary(add_up(crowd.crawlers), doing), width)
    if not at_work:
        return below
    room = max(height - _AROUND - max(len(below) - 2, 0), 1)
    shown = at_work if len(at_work) <= room else at_work[: max(room - 1, 1)]
    is_wide = width >= _WIDE
    # A column without any text would be left out, and columns that come and go would make the picture jump.
    rows = [[text if text.plain else Text(" ") for text in _row(crawler, is_wide=is_wide)] for crawler in shown]
    lines = table_lines(_WIDE_COLUMNS if is_wide else _NARROW_COLUMNS, rows, width)
    hidden = len(at_work) - len(shown)
    return [*lines, Text(f"and {count(hidden, 'more job')}" if hidden else "", "dim"), *below]


def _summary(found: Verdict, doing: str) -> Text:
    """Say in a line or two what all crawlers have done."""
    chaos = found.chaos
    over = found.jobs - found.statuses["running"]
    lost = chaos["answer lost"] + chaos["request lost"]
    return Text.assemble(
        (doing, "bold"),
        f"  {count(found.jobs, 'job')}, {over} over, {count(found.items, 'item', ',')},"
        f" {count(chaos['updates'], 'update', ',')};"
        f" {lost:,} lost, {chaos['twice']:,} sent twice, {chaos['late']:,} late, {chaos['killed']:,} killed",
    )


def _row(crawler: Crawler, *, is_wide: bool) -> list[Text]:
    done, total = crawler.truth.done, crawler.plan.total
    style = status_style(crawler.truth.status if crawler.over else "running")
    in_colour = crawler.over or crawler.doing.startswith(("killed", "failed"))
    doing = Text(plain(crawler.doing), style if in_colour else "")
    # As wide as the longest, so that the columns stay where they are.
    doing.pad_right(max(_DOING - doing.cell_len, 0))
    part = bar(done / total, _WIDE_BAR if is_wide else _NARROW_BAR, style)
    return [
        Text(plain(crawler.plan.job_id), "bold"),
        *([Text("old" if crawler.old else "client", "dim" if crawler.old else "")] if is_wide else []),
        doing,
        Text.assemble(part, f" {done * 100 // total:3}%"),
        Text(f"{done:,}"),
        Text(f"{crawler.mischief.counts['updates']:,}"),
        *(_suffered(crawler, kinds) for kinds in (_MISCHIEF.values() if is_wide else [sum(_MISCHIEF.values(), ())])),
    ]


def _suffered(crawler: Crawler, kinds: Sequence[str]) -> Text:
    number = sum(crawler.mischief.counts[kind] for kind in kinds)
    return Text(f"{number:,}" if number else "", "yellow")


def _save(lines: list[Text], file: Path) -> None:
    width, height = _SVG_SIZE
    console = Console(
        record=True, file=io.StringIO(), width=width, height=height, force_terminal=True, highlight=False, markup=False
    )
    console.print(picture(console, lines), soft_wrap=True)
    drawn = console.export_svg(title="tallymark simulate")
    # It would fetch fonts from elsewhere; any monospaced one does.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    file.write_text(re.sub(r"<!--.*?-->\s*", "", drawn, flags=re.DOTALL))
