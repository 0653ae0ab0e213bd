"""Waits in asyncio for what blocks."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

Result = TypeVar("Result")


async def to_its_end(work: Callable[[], Result]) -> Result:
    """Run a function in a thread of its own, and return what it returns.

    If the task is cancelled, the function is waited for nevertheless, and CancelledError is raised then: the start and
    the end of a job are never left half done. The thread is not one of the loop's executor: these may all be busy, and
    what waits for one of them is dropped when the task is cancelled.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the task
            future.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), name="tallymark-aside", daemon=True).start()
    waiter = asyncio.wrap_future(future)
    cancelled: asyncio.CancelledError | None = None
    while not waiter.done():
        try:
            await asyncio.wait([waiter])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # It counts as seen.
        waiter.exception()
        raise cancelled
    return waiter.result()
