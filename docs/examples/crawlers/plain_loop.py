"""Fetches a list of pages, one after the other.

    export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
    python plain_loop.py urls.txt JOB >> pages.jsonl

Kill it at any moment, and start it again: it continues, and each page counts once.
"""

import json
import os
import sys
from pathlib import Path

import httpx

from tallymark import ProgressClient


def main(list_of_urls: str, job_id: str) -> None:
    """Fetch the pages that were not fetched before."""
    urls = Path(list_of_urls).read_text(encoding="utf-8").split()
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["TALLYMARK_TOKEN"], spool="spool")
    with client, client.job(job_id) as job, httpx.Client(timeout=10) as http:
        if job.resume.last_processed_id in urls:
            # All pages up to this one are done.
            urls = urls[urls.index(job.resume.last_processed_id) + 1 :]
        for url in job.track(urls, type="pages", id=str):
            answer = http.get(url)
            if answer.is_error:
                job.error(f"HTTP {answer.status_code}", url=url)
            # Store first: the page counts when this turn of the loop is over.
            print(json.dumps({"url": url, "bytes": len(answer.content)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
