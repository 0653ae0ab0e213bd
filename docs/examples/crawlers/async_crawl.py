"""Fetches a list of pages with asyncio, eight at a time.

    export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
    python async_crawl.py urls.txt JOB >> pages.jsonl

Kill it at any moment, and start it again: it does what is not done yet, and each page counts once.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx

from tallymark import ProgressClient


async def main(list_of_urls: str, job_id: str) -> None:
    """Fetch the pages that were not fetched before."""
    urls = (await asyncio.to_thread(Path(list_of_urls).read_text, encoding="utf-8")).split()
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["TALLYMARK_TOKEN"], spool="spool")
    async with client, client.job(job_id) as job, httpx.AsyncClient(timeout=10) as http:
        job.total(len(urls))
        todo = job.todo(urls)

        async def crawl() -> None:
            # All tasks take from the same iterator.
            for url in todo:
                # The page counts when this block ends.
                with job.item(url, type="pages"):
                    answer = await http.get(url)
                    print(json.dumps({"url": url, "bytes": len(answer.content)}), flush=True)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(crawl())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
