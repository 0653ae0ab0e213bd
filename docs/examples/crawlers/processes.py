"""Fetches and parses a list of pages in four processes. Only this process reports.

    export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
    python processes.py urls.txt JOB >> pages.jsonl

Kill it at any moment, and start it again: it continues, and each page counts once.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx

from tallymark import ProgressClient


def fetch(url: str) -> tuple[str, int]:
    """Fetch and parse a page, in one of the processes."""
    return url, len(httpx.get(url, timeout=10).text.split())


def main(list_of_urls: str, job_id: str) -> None:
    """Fetch the pages that were not fetched before."""
    urls = Path(list_of_urls).read_text(encoding="utf-8").split()
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["TALLYMARK_TOKEN"], spool="spool")
    # Processes that are started with `spawn` have no copy of this one's client.
    with client, client.job(job_id) as job, ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        if job.resume.last_processed_id in urls:
            urls = urls[urls.index(job.resume.last_processed_id) + 1 :]
        # The results, and not the URLs, are what is tracked: they come in the order of the URLs, when they are done.
        results = pool.map(fetch, urls)
        for url, words in job.track(results, total=len(urls), type="pages", id=lambda result: result[0]):
            print(json.dumps({"url": url, "words": words}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
