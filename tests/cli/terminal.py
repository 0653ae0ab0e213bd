"""For tests: a process in a pseudo-terminal of its own and what its screen shows, or one whose output is piped."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue

#: Makes the pseudo-terminal its controlling terminal, so that Ctrl-C typed there reaches it, as in a shell.
_LAUNCH = (
    "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "from tallymark.cli import main; main()"
)
#: A control sequence, or a character that moves the cursor; others are shown at the cursor.
_PARTS = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")
#: How rich starts to draw over the picture before.
_NEXT_PICTURE = b"\r\x1b[2K"
PATIENCE_SECONDS = 30.0
#: Time enough for a test to look at each change.
FAST = ("--interval", "0.2")
_TALLYMARK = (sys.executable, "-c", "from tallymark.cli import main; main()")


class Terminal:
    """A `tallymark` that runs in a terminal.

    Attributes:
        written: All that it wrote.
        process: It.
    """

    def __init__(self, arguments: tuple[str, ...], width: int, height: int, environ: dict[str, str]) -> None:
        """Start it."""
        self._master, slave = os.openpty()
        self._height = height
        self.resize(width, height)
        self.written = b""
        hidden = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
        clean = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**clean, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environ},
        )
        os.close(slave)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self._height = height
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def until(self, holds: Callable[[str], bool]) -> str:
        """Read until the screen satisfies a condition; return it."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not holds(shown := self.screen()):
            assert time.monotonic() < give_up, shown
            ended = self.process.poll() is not None
            assert self._read(give_up) or not ended, shown
        return shown

    def end(self) -> int:
        """Wait until it has ended; return its exit code."""
        code = self.process.wait(PATIENCE_SECONDS)
        while self._read(time.monotonic()):
            pass
        return code

    def screen(self) -> str:
        """Return the screen and the lines that scrolled off it; while the process runs, without half-drawn pictures."""
        drawn = self.written if self.process.poll() is not None else self.written.rpartition(_NEXT_PICTURE)[0]
        lines, row, column, top = [""], 0, 0, 0
        for parameters, command, move, text in _PARTS.findall(drawn.decode(errors="ignore")):
            if text:
                lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
                column += len(text)
            elif move == "\r":
                column = 0
            elif move == "\n":
                row += 1
                if row == len(lines):
                    lines.append("")
                    top = max(top, row - self._height + 1)
            elif command == "A":
                row = max(row - int(parameters or 1), top)
            elif command == "K":
                lines[row] = ""
            elif command in {"J", "H"}:
                lines, row, column = ([*lines[:top], ""] if command == "J" else lines), top, 0
            else:
                assert command in {"m", "h", "l"}, (parameters, command)
        return "\n".join(lines)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _read(self, give_up: float) -> bool:
        """Read the available output, waiting briefly; return False if there was none."""
        if not select.select([self._master], [], [], min(max(give_up - time.monotonic(), 0), 0.2))[0]:
            return False
        try:
            got = os.read(self._master, 65536)
        except OSError:
            return False  # the other end is closed
        self.written += got
        return bool(got)


@contextmanager
def in_terminal(*arguments: str, width: int = 80, height: int = 24, **environ: str) -> Iterator[Terminal]:
    """Run `tallymark` with these arguments in a terminal."""
    terminal = Terminal(arguments, width, height, environ)
    try:
        yield terminal
    finally:
        terminal.close()


class Piped:
    """A `tallymark watch` whose output another program reads, line by line."""

    def __init__(self, *arguments: str) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            [*_TALLYMARK, "watch", *FAST, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def line(self) -> str:
        """The next line, as soon as it is there."""
        return self._lines.get(timeout=PATIENCE_SECONDS)

    def end(self, number: int | None = None) -> tuple[int, list[str], str]:
        """Send a signal, if one is given; return the exit code, the lines not read yet, and standard error."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        assert self.process.stderr is not None
        return code, list(self._lines.queue), self.process.stderr.read()

    def close(self) -> None:
        """End it if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))


@contextmanager
def piped(*arguments: str) -> Iterator[Piped]:
    """Run `tallymark watch` without a terminal."""
    running = Piped(*arguments)
    try:
        yield running
    finally:
        running.close()
