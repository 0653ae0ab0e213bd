"""A crawler with eight threads that `test_out_of_order` kills: `out_of_order.py URL TOKEN SPOOL JOB JOURNAL ITEMS`.

SPOOL may be `-`. Its items end in any order, one in twenty fails at first, and the journal has a line for each that was
worked on.
"""

import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tallymark import Job, ProgressClient


def crawl(job: Job, journal: int, items: int) -> None:
    """Work on what is left to do."""
    chance = random.Random(os.getpid())

    def work(url: str, seconds: float, *, fails: bool) -> None:
        for is_last in (False, True) if fails else (True,):
            with job.item(url, type="pages") as item:
                time.sleep(seconds)
                os.write(journal, f"{url}\n".encode())
                if not is_last:
                    item.failed()

    with ThreadPoolExecutor(8) as threads:
        for url in job.todo(f"page {number}" for number in range(items)):
            while threads._work_queue.qsize() > 8:
                time.sleep(0.001)
            threads.submit(work, url, chance.expovariate(200), fails=chance.random() < 0.05)


if __name__ == "__main__":
    _url, _token, _spool, _name, _journal, _items = sys.argv[1:]
    _client = ProgressClient(
        *(_url,), token=_token, spool=None if _spool == "-" else _spool, every_items=7, every_seconds=0.05, timeout=5.0
    )
    with _client, _client.job(_name) as _job:
        if _job.resume.source == "nothing":
            # Without a server and a spool nobody knows where to go on.
            os._exit(3)
        crawl(_job, os.open(Path(_journal), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), int(_items))
    os._exit(0)
