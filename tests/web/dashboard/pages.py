"""All pages, with something on each."""

from collections.abc import Mapping
from typing import Any

from tests.web.dashboard.seeding import execute, seed

#: An id of the greatest length, in which no line can break.
LONG = "job_" + "W" * 251

PATHS: Mapping[str, str] = {
    "overview": "/",
    "filtered": "/?status=running&itemType=issues&q=nobody",
    "job": "/job?id=going",
    "errors of a job": "/job?id=going&tab=errors",
    "areas of a job": "/job?id=going&tab=areas",
    "state of a job": "/job?id=going&tab=state",
    "job in the past": "/job?id=going&at=2",
    "long job": f"/job?id={LONG}",
    "failed job": "/job?id=failed",
    "short job": "/job?id=short",
    "no job": "/job?id=nobody",
    "errors": "/errors",
    "history": "/history",
    "areas": "/areas",
    "system": "/system",
}


def fill(url: str) -> None:
    """Register jobs that have something to show for every part of every page.

    Args:
        url: The database's.
    """
    many: list[Mapping[str, Any]] = [
        {"status": "started", "stage": "discover", "message": "Looking around", "workerId": "worker 1"},
        {
            "status": "new_areas_discovered",
            "areas": [
                {"type": "group", "fullPath": "acme", "name": "Acme", "webUrl": "https://git.example/acme"},
                {"type": "project", "fullPath": "acme/" + "p" * 200, "parentPath": "acme"},
            ],
        },
        {"stage": "collect", "operationType": "data_collection", "currentDataType": "issues", "totalItems": 500},
        {"processedItems": 20, "itemsByType": {"issues": 1234567, "commits": 3, "T" * 100: 7}},
        {"error": {"type": "Timeout", "message": "no answer " * 20, "code": 504, "stack": "at x\n" * 30}},
        {"processedItems": 70, "lastProcessedId": "7" * 200, "progress": {"cursor": {"page": 7}}, "note": "N" * 300},
        {"timeline": [{"timestamp": "2025-01-06T19:15:30Z", "event": "rested", "details": {"minutes": 5}}]},
    ]
    credential = {"providerId": "gitlab", "message": "expired", "adminGuidance": ["Make a new token"]}
    seed(url, "going", many, {"owner": "team a"})
    seed(url, LONG, many)
    seed(url, "waiting", [*many, {"status": "credential_expiry", "credentialStatus": credential}])
    seed(url, "failed", [*many, {"status": "failed", "error": {"type": "E" * 200, "message": "M" * 1000}}])
    seed(url, "finished", [*many, {"status": "completed"}])
    seed(
        url,
        "short",
        [
            {"status": "started", "totalsByType": {"issues": 1234567, "T" * 100: 9, "notes": 1}},
            {"itemsByType": {"issues": 1000000, "notes": 3, "labels": 5}, "failedByType": {"issues": 1200}},
            {"foundByType": {"pages": 12}, "skippedByType": {"pages": 12}},
            {"status": "completed"},
        ],
    )
    seed(url, "cancelled", [*many, {"status": "cancelled"}])
    seed(url, "paused", [*many, {"status": "paused"}])
    seed(url, "queued")
    seed(url, "silent", [{"processedItems": number} for number in range(10)])
    execute(url, "UPDATE tallymark.job_event SET recorded_at = recorded_at - interval '3 h' WHERE job_id = 'silent'")
    execute(url, "UPDATE tallymark.job SET updated_at = updated_at - interval '3 h' WHERE id = 'silent'")
