"""The stored function that says what is wrong with a job, as a Python function, as in `functions.jobs`.

It takes the caller's own psycopg connection, and does not commit.
"""

from typing import Literal, TypedDict

from tallymark.functions.call import Connection, Json, value

Severity = Literal["ok", "note", "warning", "problem"]


class Finding(TypedDict):
    """One thing that was found.

    Attributes:
        code: By which programs know it.
        severity: How bad it is.
        says: What was found, in words.
        next: What to do about it; None for nothing.
        facts: The numbers and instants.
    """

    code: str
    severity: Severity
    says: str
    next: str | None
    facts: Json


class Scenario(TypedDict):
    """What was found about one question.

    Attributes:
        scenario: `stalled`, `data` or `performance`.
        title: The question, for people.
        findings: What was found.
    """

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
        updatesLookedAt: How many of its newest updates the statistics are of; None where there is none.
        lastSeq: The number of its last event.
        prunedSeq: Up to which event its ledger was pruned.
        scenarios: The findings.
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


def diagnose_job(
    connection: Connection, job_id: str, *, verify: bool | None = None, max_updates: int | None = None
) -> Diagnosis:
    """Say what is wrong with a job, and what to do about it.

    Args:
        connection: Whose transaction this is part of.
        job_id: A registered job.
        verify: Whether its ledger is folded anew and compared; None is for short ledgers only.
        max_updates: How many of its newest updates are looked at; None is the stored function's default.

    Returns:
        The findings.

    Raises:
        JobNotFound: There is no such job.
    """
    query = "SELECT tallymark.diagnose_job(%s, %s::boolean, %s::integer)"
    found: Diagnosis = value(connection, query, job_id, verify, max_updates)
    return found
