"""Fetches a list of pages on several machines at once. All have the same list and the same job.

    export TALLYMARK_URL=https://tallymark.example TALLYMARK_TOKEN=...
    python machines.py urls.txt JOB $(hostname) >> pages.jsonl

Start or kill it on any machine at any moment: the others do its part, and each page counts once.
"""

import json
import os
import sys
from pathlib import Path
from zlib import crc32

import httpx

from tallymark import ProgressClient

#: How many pages a machine takes at a time.
MANY = 20


def main(list_of_urls: str, job_id: str, machine: str) -> None:
    """Fetch the pages that no machine has fetched before."""
    urls = Path(list_of_urls).read_text(encoding="utf-8").split()
    # Each machine starts at another position and goes around once, so two rarely fetch the same page at the same time.
    first = crc32(machine.encode()) % len(urls)
    urls = urls[first:] + urls[:first]
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["TALLYMARK_TOKEN"], spool="spool")
    with client, client.job(job_id, worker=machine) as job, httpx.Client(timeout=10) as http:
        job.total(len(urls))
        for at in range(0, len(urls), MANY):
            for url in job.unseen(urls[at : at + MANY], type="pages"):
                if job.should_stop:
                    return
                answer = http.get(url)
                print(json.dumps({"url": url, "bytes": len(answer.content)}), flush=True)
                # The server counts this key once, no matter which machine sends it.
                job.advance("pages", key=url)


if __name__ == "__main__":
    main(*sys.argv[1:])
