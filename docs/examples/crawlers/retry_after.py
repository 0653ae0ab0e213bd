"""Fetches a list of pages from a site that limits how often it may be asked.

    export TALLYMARK_URL=http://127.0.0.1:8000 CRAWLER_API_TOKEN=...
    python retry_after.py urls.txt JOB >> pages.jsonl

While it obeys `Retry-After`, the job is shown as waiting, and not as stalled. Kill it at any moment, and start it
again: it continues, and each page counts once.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from tallymark import Job, ProgressClient


def retry_at(answer: httpx.Response) -> datetime:
    """Return when to ask again: `Retry-After` is a number of seconds, or a date."""
    value = answer.headers.get("Retry-After", "60")
    return datetime.now(UTC) + timedelta(seconds=int(value)) if value.isdigit() else parsedate_to_datetime(value)


def fetch(url: str, http: httpx.Client, job: Job) -> httpx.Response:
    """Fetch a page, and wait where the site asks for it."""
    while (answer := http.get(url)).status_code in {429, 503}:
        until = retry_at(answer)
        with job.waiting(until=until, reason=f"HTTP {answer.status_code}"):
            while datetime.now(UTC) < until and not job.should_stop:
                time.sleep(1)
        if job.should_stop:
            break
    return answer


def main(list_of_urls: str, job_id: str) -> None:
    """Fetch the pages that were not fetched before."""
    urls = Path(list_of_urls).read_text(encoding="utf-8").split()
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["CRAWLER_API_TOKEN"], spool="spool")
    with client, client.job(job_id) as job, httpx.Client(timeout=10) as http:
        if job.resume.last_processed_id in urls:
            urls = urls[urls.index(job.resume.last_processed_id) + 1 :]
        for url in job.track(urls, type="pages", id=str):
            answer = fetch(url, http, job)
            if answer.status_code in {429, 503}:
                break  # an operator asks to stop: this page is not done
            print(json.dumps({"url": url, "bytes": len(answer.content)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
