"""What is wrong with a job. docs/diagnosing.md has the findings, docs/sql-api.md the function."""

from typing import Literal, TypedDict

from tallymark.functions.call import Connection, Json, Value

Severity = Literal["ok", "note", "warning", "problem"]


class Finding(TypedDict):
    """A finding: its code for programs, what it says and what to do next for people, its figures as facts."""

    code: str
    severity: Severity
    says: str
    next: str | None
    facts: Json


class Scenario(TypedDict):
    """The findings about one question: `stalled`, `data` or `performance`."""

    scenario: str
    title: str
    findings: list[Finding]


class Diagnosis(TypedDict):
    """What is wrong with a job.

    Attributes:
        id: The job.
        status: Its status.
        asOf: When it was looked at.
        severity: That of its worst finding.
        verdict: One sentence.
        problems: How many findings are problems.
        warnings: How many are warnings.
        updatesLookedAt: How many of its newest updates the statistics cover; None where there are none.
        lastSeq: The seq of its last event.
        prunedSeq: The seq up to which its ledger was pruned.
        scenarios: The findings, by question.
    """

    id: str
    status: str
    asOf: str
    severity: Severity
    verdict: str
    problems: int
    warnings: int
    updatesLookedAt: int | None
    lastSeq: int
    prunedSeq: int
    scenarios: list[Scenario]


_diagnose_job = Value[Diagnosis]("diagnose_job", "job_id", "verify", "max_updates")


def diagnose_job(
    connection: Connection, job_id: str, *, verify: bool | None = None, max_updates: int | None = None
) -> Diagnosis:
    """Find what is wrong with a job and what to do; `verify` None folds the ledger only where it is short."""
    return _diagnose_job(connection, job_id, verify, max_updates)
