"""Facts about Tallymark that an OpenAPI document cannot express; schemathesis loads them before it starts.

The rules below are all cases in which a request that satisfies its schema may be refused, or the other way round.
Everything else that schemathesis finds is a defect.
"""

import json
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from hypothesis import strategies as st

#: Where the requests are counted, one line for each.
_COUNTS = Path(os.environ["TALLYMARK_TEST_COUNTS"]).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115

#: The ids that requests use, if the document was given any.
_JOBS = set(json.loads(os.environ.get("TALLYMARK_TEST_JOBS", "[]")))

#: Problems that no schema foresees: rules between two members, numbers of bytes, places in pages.
_BEYOND_SCHEMAS = (
    re.compile(r"must not be greater than totalItems"),
    re.compile(r"must be a string of 1 to 1000 bytes"),
    re.compile(r"must be the next of an earlier page"),
    re.compile(r"must be 0 to \d+, the number of the job's last event"),
    re.compile(r"is required with this status"),
    re.compile(r"must have no number\b.*"),
    re.compile(r"must be an object of at most 65536 bytes, without .*\bnumber.*"),
    re.compile(r"must take at most 65536 bytes as JSON"),
    re.compile(r"must be another job"),
)

_KEY = re.compile(r"[\t -~]{1,255}")

schemathesis.openapi.format(
    "iso-8601",
    st.builds(
        lambda instant, offset, precision: instant.isoformat(timespec=precision) + offset,
        st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001 - an offset is put behind it
        st.sampled_from(["Z", "z", "+00:00", "-0330", "+14:00", "-12", "+15:59"]),
        st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    )
    | st.dates().map(str),
)


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:  # noqa: ANN401 - schemathesis's own
    """Count a request and its answer."""
    mode = case.meta.generation.mode.value if case.meta else "none"
    print(case.operation.label, mode, response.status_code, sep="\t", file=_COUNTS)


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, case: Any, response: Any) -> bool:  # noqa: ANN401
    """Return whether a failure that schemathesis found is a real one."""
    name = type(failure).__name__
    if name == "RejectedPositiveData":
        return not _is_beyond_schemas(response)
    if name == "AcceptedNegativeData":
        return not _may_be_accepted(case, response)
    if name in {"UnsupportedMethodResponse", "AllowHeaderMismatch"}:
        # GET finds the job called progress, <id>/command and so on there, by /api/internal/jobs/{id}.
        return not case.path.endswith(("/jobs/progress", "/{id}/command", "/{id}/alive", "/{id}/unseen"))
    return True


@schemathesis.check
def each_good_update_of_a_batch_is_taken(_context: Any, response: Any, case: Any) -> None:  # noqa: ANN401
    """Report refusals in a batch without a reason; the answer to a batch is always 200."""
    if (
        case.meta
        and case.meta.generation.mode.is_positive
        and isinstance(case.body, list)
        and response.status_code == 200
    ):
        for result in json.loads(response.content):
            assert (
                "seq" in result or (result["status"] == 404 and not _JOBS) or _are_beyond_schemas(result["details"])
            ), result


def _is_beyond_schemas(response: Any) -> bool:  # noqa: ANN401
    """Return whether all refused members broke a rule that no schema can express."""
    return response.status_code == 400 and _are_beyond_schemas(json.loads(response.content)["details"])


def _are_beyond_schemas(details: list[dict[str, str]]) -> bool:
    return bool(details) and all(
        any(rule.fullmatch(detail["problem"]) for rule in _BEYOND_SCHEMAS) for detail in details
    )


def _may_be_accepted(case: Any, response: Any) -> bool:  # noqa: ANN401
    """Return whether a request that breaks its schema may be accepted, as the document's text says."""
    if case.path.endswith("/progress") and isinstance(case.body, list):
        # Bad updates in a batch are refused in the answer, and the others count.
        return len(json.loads(response.content)) == len(case.body)
    if "{id}" in case.path and case.path_parameters.get("id") not in _JOBS:
        return True  # a job that was registered meanwhile: only its absence would have been an error
    key = (case.headers or {}).get("Idempotency-Key", "")
    if key != key.strip(" \t") and _KEY.fullmatch(key.strip(" \t")):
        return True  # blanks around the value of a header are none of it (RFC 9110, section 5.5)
    # `allowEmptyValue`: a text or a time that is empty counts as not given. As it was sent: null comes out empty, too.
    sent = parse_qsl(urlsplit(response.request.url).query, keep_blank_values=True)
    return any(not value for _, value in sent)
