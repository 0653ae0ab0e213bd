"""Ctrl-C ends a command that waits, at whatever moment it comes."""

import signal
import sys
import time
from types import FrameType
from typing import Any

import pytest

from tallymark.cli.interrupt import Interrupt, Interrupted


def signalled_at(moment: int, interrupt: Interrupt) -> tuple[bool, bool]:
    """Send a signal when so many lines of a wait have run; return whether they did, and what the wait returned."""
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - itself
        nonlocal lines
        lines += event == "line"
        if lines == moment:
            lines += 1
            signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        ended = interrupt.wait(0.05)
    finally:
        sys.settrace(before)
    return lines > moment, ended


@pytest.mark.timeout(60)
def test_a_signal_ends_a_wait_at_whatever_moment_it_comes() -> None:
    """Also where the main thread holds a lock: a handler that waited for that lock would wait for ever."""
    moment, came = 0, True
    while came:
        moment += 1
        with Interrupt() as interrupt:
            came, ended = signalled_at(moment, interrupt)
            assert ended is came
            assert interrupt.wait(0) is came, "it stays so"
    assert moment > 3


@pytest.mark.timeout(60)
def test_a_signal_breaks_off_a_block_that_waits_for_others() -> None:
    """At once; and no further block begins."""

    def wait_for_others() -> None:
        with interrupt.breaks():
            signal.raise_signal(signal.SIGTERM)
            time.sleep(120)

    with Interrupt() as interrupt:
        for _ in range(2):
            with pytest.raises(Interrupted):
                wait_for_others()
        assert interrupt.wait(120)
