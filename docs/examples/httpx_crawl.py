"""A crawl with httpx that can be killed at any moment, and continues where it was.

    export TALLYMARK_URL=http://127.0.0.1:8000 CRAWLER_API_TOKEN=...
    python httpx_crawl.py http://127.0.0.1:9000 my_crawl

It reads an index of items, one a line, and fetches each.
"""

import os
import sys

import httpx

from tallymark import ProgressClient


def main(site: str, job_id: str) -> None:
    """Fetch the items of the site that were not fetched before."""
    client = ProgressClient(
        os.environ["TALLYMARK_URL"], token=os.environ["CRAWLER_API_TOKEN"], spool=os.environ.get("SPOOL", "spool")
    )
    with client, client.job(job_id) as job, httpx.Client(base_url=site, timeout=10) as http:
        job.stage("reading the index", operation="discovery")
        items = http.get("/index.txt").raise_for_status().text.split()
        if job.resume.last_processed_id in items:
            # All items up to this one are counted already.
            items = items[items.index(job.resume.last_processed_id) + 1 :]
        job.stage("fetching", operation="data_collection", data_type="items")
        for item in job.track(items, type="items", id=str):
            answer = http.get(f"/{item}")
            if answer.is_error:
                job.error(f"HTTP {answer.status_code}", url=str(answer.url))
    # Leaving the block reports `completed`, an exception `failed`, an operator's command `paused` or `cancelled`.


if __name__ == "__main__":
    main(*sys.argv[1:])
