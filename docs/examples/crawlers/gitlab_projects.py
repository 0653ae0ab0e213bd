"""Lists all projects of a GitLab, in the order of their ids (keyset paging).

    export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=... GITLAB_TOKEN=...
    python gitlab_projects.py https://gitlab.example.com JOB >> projects.jsonl

Kill it at any moment, and start it again: it continues after the last project that is done.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import httpx

from tallymark import ProgressClient


def projects(http: httpx.Client, after: str | None) -> Iterator[dict[str, Any]]:
    """Yield the projects whose ids are above `after`, page by page."""
    query: dict[str, Any] = {"pagination": "keyset", "order_by": "id", "sort": "asc", "per_page": 100}
    if after:
        query["id_after"] = after
    answer = http.get("/api/v4/projects", params=query).raise_for_status()
    yield from answer.json()
    # No header says how many projects there are. The last page has no link.
    while "next" in answer.links:
        answer = http.get(answer.links["next"]["url"]).raise_for_status()
        yield from answer.json()


def main(gitlab: str, job_id: str) -> None:
    """List the projects that were not listed before."""
    client = ProgressClient(os.environ["TALLYMARK_URL"], token=os.environ["TALLYMARK_TOKEN"], spool="spool")
    headers = {"PRIVATE-TOKEN": os.environ["GITLAB_TOKEN"]}
    with client, client.job(job_id) as job, httpx.Client(base_url=gitlab, headers=headers, timeout=30) as http:
        found = projects(http, after=job.resume.last_processed_id)
        for project in job.track(found, type="projects", id=lambda project: project["id"]):
            print(json.dumps({"id": project["id"], "path": project["path_with_namespace"]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
