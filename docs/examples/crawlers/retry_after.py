"""Fetches a list of pages from a site that limits how often it may be asked.

    export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
    python retry_after.py urls.txt JOB >> pages.jsonl

While it obeys `Retry-After`, the job is shown as waiting, and not as stalled. Kill it at any moment, and start it
again: it continues, and each page counts once.
"""

import json
import os
import sys
from pathlib import Path

import httpx

from tallymark import Job, ProgressClient


def fetch(url: str, http: httpx.Client, job: Job) -> httpx.Response | None:
    """Fetch a page, and wait where the site asks for it; return None if an operator asks to stop."""
    while (answer := http.get(url)).status_code in {429, 503}:
        # The header is a number of seconds, or a date.
        if not job.wait_as_told(answer.headers.get("Retry-After", "60"), reason=f"HTTP {answer.status_code}"):
            return None
    return answer


def main(list_of_urls: str, job_id: str) -> None:
    """Fetch the pages that were not fetched before."""
    urls = Path(list_of_urls).read_text(encoding="utf-8").split()
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["TALLYMARK_TOKEN"], spool="spool")
    with client, client.job(job_id) as job, httpx.Client(timeout=10) as http:
        if job.resume.last_processed_id in urls:
            # All pages up to this one are done.
            urls = urls[urls.index(job.resume.last_processed_id) + 1 :]
        for url in job.track(urls, type="pages", id=str):
            answer = fetch(url, http, job)
            if answer is None:
                break  # this page is not done, and does not count
            print(json.dumps({"url": url, "bytes": len(answer.content)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
