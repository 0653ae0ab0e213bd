"""The crowd at work, as people see it in a terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from tallymark.simulate.crawler import Base
from tallymark.simulate.verdict import Difference, Verdict
from tallymark.terminal.grid import Column, grid
from tallymark.terminal.text import bar, count, plain, status_style, wrapped

#: From how many columns of the terminal on each kind of mischief has its own column.
_WIDE = 110
_WIDE_BAR, _NARROW_BAR = 20, 8
_DOING = len("collecting merge_requests")
#: Lines of the picture that are no jobs: the headings, an empty one, the summary's two, and that of the cursor.
_AROUND = 5
_LEAST_ROWS = 1
#: More differences than this are counted only.
_MOST_DIFFERENCES = 40

_COLUMNS = (Column("job", least=8, middle=True), Column("crawler"), Column("doing", least=16), Column("progress"))
_FIGURES = (Column("items", right=True), Column("updates", right=True))
#: What is told of the network, and what it is made of.
_MISCHIEF = {"lost": ("answer lost", "request lost"), "twice": ("twice",), "late": ("late",), "killed": ("killed",)}
_WIDE_COLUMNS = (*_COLUMNS, *_FIGURES, *(Column(kind, right=True) for kind in _MISCHIEF))
_NARROW_COLUMNS = (*_COLUMNS[:1], *_COLUMNS[2:], *_FIGURES, Column("chaos", right=True))


def crowd_lines(at_work: Sequence[Base], size: tuple[int, int], summary: Text) -> list[Text]:
    """Draw those that are at work, as many as fit.

    Args:
        at_work: The crawlers.
        size: Columns and lines of the terminal.
        summary: What is told of all.

    Returns:
        The lines.
    """
    width, height = size
    below = wrapped(summary, width)
    if not at_work:
        return below
    room = max(height - _AROUND - max(len(below) - 2, 0), _LEAST_ROWS)
    shown = at_work if len(at_work) <= room else at_work[: max(room - 1, _LEAST_ROWS)]
    rows = [_wide(base) if width >= _WIDE else _narrow(base) for base in shown]
    lines = _grid(_WIDE_COLUMNS if width >= _WIDE else _NARROW_COLUMNS, rows, width)
    hidden = len(at_work) - len(shown)
    return [*lines, Text(f"and {count(hidden, 'more job')}", "dim") if hidden else Text(), *below]


def figures(crawlers: Sequence[Base]) -> Verdict:
    """Add up what was done so far."""
    found = Verdict(jobs=len(crawlers))
    for base in list(crawlers):
        found.items += base.truth.done
        found.chaos += Counter(dict(base.mischief.counts))
        found.statuses[base.truth.status if base.over else "running"] += 1
    return found


def summary_line(found: Verdict, doing: str) -> Text:
    """Tell of all crawlers in a line or two.

    Args:
        found: What they did.
        doing: What the run is at.
    """
    chaos = found.chaos
    over = found.jobs - found.statuses["running"]
    lost = chaos["answer lost"] + chaos["request lost"]
    return Text.assemble(
        (doing, "bold"),
        f"  {count(found.jobs, 'job')}, {over} over, {found.items:,} items, {chaos['updates']:,} updates;"
        f" {lost:,} lost, {chaos['twice']:,} sent twice, {chaos['late']:,} late, {chaos['killed']:,} killed",
    )


def difference_lines(differences: Sequence[Difference], width: int | None) -> list[Text]:
    """Put what is wrong in a table.

    Args:
        differences: That; at least one.
        width: Columns of the terminal; None is any number.
    """
    columns = (
        Column("job", least=12, middle=True),
        Column("what", least=12),
        Column("counted", least=8),
        Column("true"),
    )
    rows = [
        [Text(plain(each.job_id), "bold"), Text(each.what), Text(plain(each.counted), "red"), Text(_short(each.true))]
        for each in differences[:_MOST_DIFFERENCES]
    ]
    hidden = len(differences) - len(rows)
    return [*grid(columns, rows, width), *([Text(f"and {count(hidden, 'more difference')}")] if hidden else [])]


def _short(value: object) -> str:
    return "" if value is None else plain(value)


def _grid(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> list[Text]:
    # Columns that come and go would make the picture jump.
    kept = [[text if text.plain else Text(" ") for text in row] for row in rows]
    return grid(columns, kept, width)


def _first(base: Base, cells: int) -> list[Text]:
    done, total = base.truth.done, base.plan.total
    style = status_style(base.truth.status if base.over else "running")
    doing = Text(plain(base.doing), style if base.over or base.doing.startswith(("killed", "failed")) else "")
    drawn = Text.assemble(bar(done / total, cells, style), f" {done * 100 // total:3}%")
    # As wide as the longest, so that the columns stay where they are.
    doing.pad_right(max(_DOING - doing.cell_len, 0))
    return [Text(plain(base.plan.job_id), "bold"), doing, drawn]


def _narrow(base: Base) -> list[Text]:
    counts = base.mischief.counts
    return [
        *_first(base, _NARROW_BAR),
        Text(f"{base.truth.done:,}"),
        Text(f"{counts['updates']:,}"),
        _suffered(base, sum(_MISCHIEF.values(), ())),
    ]


def _wide(base: Base) -> list[Text]:
    job, doing, drawn = _first(base, _WIDE_BAR)
    counts = base.mischief.counts
    return [
        job,
        Text("old" if base.old else "client", "dim" if base.old else ""),
        doing,
        drawn,
        Text(f"{base.truth.done:,}"),
        Text(f"{counts['updates']:,}"),
        *(_suffered(base, kinds) for kinds in _MISCHIEF.values()),
    ]


def _suffered(base: Base, kinds: Sequence[str]) -> Text:
    number = sum(base.mischief.counts[kind] for kind in kinds)
    return Text(f"{number:,}" if number else "", "yellow")
