"""Progress bars on standard error.

One thread draws all bars of the process, into one line, ten times a second. The loops never draw, so a terminal that
stands still delays neither the crawl nor its reports. The line has no line below it: what the crawl prints meanwhile is
never overwritten. Standard output is not touched.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TextIO

from tallymark.client.bell import Bell
from tallymark.client.process import in_child

#: Seconds between pictures; a loop that is shorter leaves none.
_PICTURE_SECONDS = 0.1
#: How long the end of a loop waits for its last picture.
_LAST_SECONDS = 1.0
#: How many bars are in the line: the outermost loop and the innermost ones.
_MOST_BARS = 3
_LONGEST_BAR, _SHORTEST_BAR = 40, 5
_LONGEST_NAME = 30
_ERASE = "\x1b[K"


class Bar:
    """The bar of a loop. The loop begins and ends it, and the drawing thread draws it."""

    def __init__(self, name: str, total: int | None, done: Callable[[], int], *, is_asked_for: bool) -> None:
        """Begin. `done` returns how many items are done; `is_asked_for`: leave a picture however short the loop is."""
        self.stream = standard_error()
        self.is_drawn = False
        self._name = "".join(letter if letter.isprintable() else "?" for letter in name)
        self._total = total
        self._done = done
        self._is_asked_for = is_asked_for
        self._began = time.monotonic()
        self.thread = threading.get_ident()
        #: It is drawn once more, on a line that stays.
        self.is_last = False
        self.has_left = Bell()
        # Loops inside others leave no picture.
        self._is_inner = any(bar.thread == self.thread for bar in _display.bars)
        if self.stream is not None:
            _display.add(self)

    def end(self) -> None:
        """Stop drawing. The picture of an outermost loop stays on the screen."""
        if self.stream is None:
            return
        if self._is_inner or not (self.is_drawn or self._is_asked_for):
            _display.remove(self)
            return
        self.is_last = True
        _display.wake()
        self.has_left.wait(_LAST_SECONDS)

    def text(self, room: int, signs: str) -> str:
        """Return the bar, at most `room` characters long. `signs`: for what is done and what is not."""
        from rich.cells import cell_len, set_cell_size

        done, total = self._done(), self._total
        elapsed = time.monotonic() - self._began
        name = self._name
        if cell_len(name) > _LONGEST_NAME:
            name = set_cell_size(name, _LONGEST_NAME)
        if not total:
            return set_cell_size(f"{name} {done} {_time(elapsed)}", room).rstrip()
        left = elapsed / done * max(total - done, 0) if done else None
        after = f" {done}/{total} {_time(elapsed if self.is_last or left is None else left)}"
        width = min(room - cell_len(name) - len(after) - 1, _LONGEST_BAR)
        bar = ""
        if width >= _SHORTEST_BAR:
            filled = min(width * done // total, width)
            bar = " " + signs[0] * filled + signs[1] * (width - filled)
        text = f"{name}{bar}{after}"
        return text if cell_len(text) <= room else set_cell_size(text, room).rstrip()


def standard_error() -> TextIO | None:
    """Return standard error, or None where it is closed."""
    stream = getattr(sys, "stderr", None)
    try:
        return None if stream is None or stream.closed else stream
    except Exception:  # noqa: BLE001 - a stand-in may lack `closed`
        return stream


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal on which a line can be drawn again. A stand-in may not even say so."""
    try:
        return stream is not None and bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except Exception:  # noqa: BLE001 - somebody else's object
        return False


class _Display:
    """Draws the bars that there are, in a thread that ends with the last of them."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self._thread: threading.Thread | None = None
        self._bell = Bell()

    def add(self, bar: Bar) -> None:
        """Draw a bar from now on."""
        self.bars.append(bar)
        thread = self._thread
        if thread is None or not thread.is_alive():
            # Two loops that begin at once may start two threads: the one that is not `_thread` ends.
            self._thread = thread = threading.Thread(target=self._run, name="tallymark-bars", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # There are too many threads, or the interpreter ends: the crawl goes on without a bar.
                self.remove(bar)
                bar.stream = None

    def remove(self, bar: Bar) -> None:
        """Draw a bar no more."""
        with suppress(ValueError):
            self.bars.remove(bar)

    def wake(self) -> None:
        """Draw now."""
        self._bell.ring()

    def _run(self) -> None:
        lines: dict[int, str] = {}
        while self._thread is threading.current_thread():
            self._bell.wait(_PICTURE_SECONDS)
            bars = self.bars.copy()
            for stream in {id(bar.stream): bar.stream for bar in bars if bar.stream is not None}.values():
                mine = [bar for bar in bars if bar.stream is stream]
                try:
                    self._draw(stream, mine, lines)
                except Exception:  # noqa: BLE001 - the stream is closed or broken, or somebody else's
                    for bar in mine:
                        self.remove(bar)
                        bar.has_left.ring()
            if not self.bars:
                # A loop that begins now finds this thread, or none.
                self._thread = None
                if self.bars:
                    self._thread = threading.current_thread()

    def _draw(self, stream: TextIO, bars: list[Bar], lines: dict[int, str]) -> None:
        """Draw the bars of one stream: those that end leave a line, the others share the line after it."""
        can_redraw = is_terminal(stream)
        room, signs = _room(stream), _signs(stream)
        text = ""
        for bar in [bar for bar in bars if bar.is_last]:
            text += f"{bar.text(room, signs)}{_ERASE if can_redraw else ''}\n"
            self.remove(bar)
        running = [bar for bar in bars if not bar.is_last]
        if can_redraw:
            if len(running) > _MOST_BARS:
                running = [running[0], *running[1 - _MOST_BARS :]]
            share = (room - 2 * max(len(running) - 1, 0)) // max(len(running), 1)
            line = "  ".join(bar.text(share, signs) for bar in running)
            if text or line != lines.get(id(stream), ""):
                text = f"\r{text}{line}{_ERASE}"
                lines[id(stream)] = line
        if text:
            _write(stream, text)
        for bar in bars:
            bar.is_drawn = bar.is_drawn or can_redraw
            if bar.is_last:
                bar.has_left.ring()


def _write(stream: TextIO, text: str) -> None:
    """Write past the stream's buffer, whose lock a thread that ends with the process might keep."""
    try:
        number = stream.fileno()
    except (OSError, AttributeError):
        # It is in memory.
        stream.write(text)
        stream.flush()
        return
    data = text.encode(getattr(stream, "encoding", None) or "utf-8", "replace")
    while data:
        data = data[os.write(number, data) :]


def _room(stream: TextIO) -> int:
    """Return how many characters a line may have. The last column stays free, where terminals begin a new line."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        columns = 0
    return max((columns or 80) - 1, 10)


def _signs(stream: TextIO) -> str:
    try:
        "━─".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return "#-"
    return "━─"


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


_display = _Display()


def running() -> Iterable[Bar]:
    """Return the bars that are drawn."""
    return _display.bars.copy()


def _forget() -> None:
    """Start without bars in the child of a fork."""
    _display.__init__()  # type: ignore[misc]  # all of its state is new


in_child(_forget)
