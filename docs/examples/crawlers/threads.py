"""Fetches a list of pages in eight threads.

    export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
    python threads.py urls.txt JOB >> pages.jsonl

Kill it at any moment, and start it again: it does what is not done yet, and each page counts once.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import httpx

from tallymark import ProgressClient


def main(list_of_urls: str, job_id: str) -> None:
    """Fetch the pages that were not fetched before."""
    urls = Path(list_of_urls).read_text(encoding="utf-8").split()
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["TALLYMARK_TOKEN"], spool="spool")
    with client, client.job(job_id) as job, ThreadPoolExecutor(8) as pool, httpx.Client(timeout=10) as http:

        def crawl(url: str) -> None:
            # The page counts when this block ends.
            with job.item(url, type="pages"):
                answer = http.get(url)
                # One call a line, so that the lines of two threads do not mix.
                print(json.dumps({"url": url, "bytes": len(answer.content)}) + "\n", end="", flush=True)

        job.total(len(urls))
        todo = job.todo(urls)
        # A hundred at a time, so that a command to pause does not wait for the whole list.
        while batch := list(islice(todo, 100)):
            for _ in pool.map(crawl, batch):
                pass


if __name__ == "__main__":
    main(*sys.argv[1:])
