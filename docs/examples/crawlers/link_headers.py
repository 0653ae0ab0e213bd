"""Lists all issues of an API whose pages are chained by `Link: <...>; rel="next"`, as GitHub's and many others are.

    export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
    python link_headers.py https://api.github.com/repos/OWNER/NAME/issues JOB >> issues.jsonl

Kill it at any moment, and start it again: it fetches the page again that it was at, and each issue counts once.
"""

import json
import os
import sys

import httpx

from tallymark import ProgressClient


def main(first_page: str, job_id: str) -> None:
    """List the issues, beginning with the page that was not finished before."""
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["TALLYMARK_TOKEN"], spool="spool")
    with client, client.job(job_id) as job, httpx.Client(timeout=30) as http:
        page = (job.resume.state or {}).get("page", first_page)
        while page and not job.should_stop:
            answer = http.get(page).raise_for_status()
            for issue in answer.json():
                print(json.dumps({"id": issue["id"], "title": issue["title"]}), flush=True)
                # The key makes it count once, also when the page is fetched again.
                job.advance("issues", key=str(issue["id"]))
            page = answer.links.get("next", {}).get("url")
            if page:
                job.checkpoint({"page": page})


if __name__ == "__main__":
    main(*sys.argv[1:])
