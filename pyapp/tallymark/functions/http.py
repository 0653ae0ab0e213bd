"""The statements of the endpoint: what each sends to PostgreSQL, prepared once a connection.

HTTP passes bodies and answers through as bytes, so these return JSON as text. Where a connection breaks, the endpoint
runs a statement twice. So running one twice must have the effect of running it once; an update that comes by HTTP
always has a key. Each belongs to the role that runs it, and `/readyz` asks whether that role can call its functions.
"""

from typing import NamedTuple

from tallymark.functions.call import Call


class Statement(NamedTuple):
    """A statement that is prepared once on each connection.

    Attributes:
        name: Its name on the server.
        sql: Its text, with $1 and so on.
        takes_json: Whether $1 is JSON that the caller sent.
    """

    name: bytes
    sql: bytes
    takes_json: bool = False


#: The functions that the endpoint calls as tallymark_writer, and those that it calls as tallymark_reader.
WRITING: list[Call] = []
READING: list[Call] = []


def _writes(call: Call, sql: str = "", *, takes_json: bool = False) -> Statement:
    WRITING.append(call)
    return Statement(f"tallymark_{call.function}".encode(), (sql or f"SELECT {call}").encode(), takes_json)


def _reads(*calls: Call, sql: str = "", name: str = "") -> Statement:
    READING.extend(calls)
    return Statement(f"tallymark_{name or calls[0].function}".encode(), (sql or f"SELECT {calls[0]}").encode())


def _within(lock_timeout: str, call: Call) -> str:
    """Return an expression that calls with a lock_timeout of its own, since a pooler's session may have any."""
    # CASE is evaluated in order.
    return f"CASE WHEN set_config('lock_timeout', {lock_timeout}, true) IS NOT NULL THEN {call} END"


# --- reporting, registering, commands -----------------------------------------------------------------------------

_receive_progress = Call("receive_progress", "body", "idempotency_key", "job_prefix", register="$5")
#: An update by itself; $4 is lock_timeout in milliseconds, $5 whether to register an unknown job.
RECEIVE_PROGRESS = _writes(_receive_progress, f"SELECT {_within('$4', _receive_progress)}", takes_json=True)

#: How many bodies the statements of RECEIVE_GROUP take, ascending.
GROUP_SIZES = (1, 2, 4, 8, 16, 32)


def _bodies(size: int) -> dict[str, str]:
    def array(first: int, kind: str) -> str:
        # Each body is a parameter of its own, so none can reach into the next one.
        return f"ARRAY[{', '.join(f'${first + number}' for number in range(size))}]::{kind}[]"

    return {
        "bodies": array(1, "jsonb"),
        "idempotency_keys": array(size + 1, "text"),
        "job_prefixes": array(2 * size + 1, "text"),
    }


def _receive_group(size: int) -> Statement:
    call = Call(
        "receive_group",
        **_bodies(size),
        wait=f"set_config('lock_timeout', ${3 * size + 2}, true) IS NOT NULL AND ${3 * size + 1}::boolean",
        register=f"${3 * size + 3}",
    )
    WRITING.append(call)
    sql = f"SELECT answer, refusal, held FROM {call}"
    return Statement(f"tallymark_receive_group_{size}".encode(), sql.encode(), takes_json=True)


#: Several bodies, by the size of the group. $1 and so on are the bodies, then come as many idempotency keys and as many
#: prefixes, then whether to wait for held jobs, lock_timeout in milliseconds, and whether to register unknown jobs.
#: Rows: answer, refusal, held.
RECEIVE_GROUP = {size: _receive_group(size) for size in GROUP_SIZES}


def _receive_for_job(size: int) -> Statement:
    # Where jobs are distributed, only a call that is the whole statement runs on the server of its job.
    call = Call(
        "receive_for_job",
        job_id=f"${3 * size + 4}",
        **_bodies(size),
        wait=f"${3 * size + 1}",
        lock_timeout=f"${3 * size + 2}",
        register=f"${3 * size + 3}",
    )
    WRITING.append(call)
    return Statement(f"tallymark_receive_for_job_{size}".encode(), f"SELECT {call}".encode(), takes_json=True)


#: Bodies for one job of a distributed database, by how many. The parameters are those of RECEIVE_GROUP, then the job's
#: id. One value: an array with [answer, refusal, held] for each body, where answer is a string.
RECEIVE_FOR_JOB = {size: _receive_for_job(size) for size in GROUP_SIZES}
_receive_job = Call("receive_job", "body", "job_prefix")
#: $3 is lock_timeout in milliseconds. Columns: whether the job is new, its id, the job.
RECEIVE_JOB = _writes(
    _receive_job,
    "SELECT r.job ->> 'created', r.job ->> 'id', r.job - 'created'"
    f" FROM (SELECT {_within('$3', _receive_job)} OFFSET 0) AS r (job)",
    takes_json=True,
)
_receive_command = Call("receive_command", "body", "job_id", "requested_by")
#: $4 is lock_timeout in milliseconds.
RECEIVE_COMMAND = _writes(_receive_command, f"SELECT {_within('$4', _receive_command)}", takes_json=True)
#: Which items a job has not counted yet. It locks nothing, but the answer must not come from a replica.
RECEIVE_UNSEEN = _writes(Call("receive_unseen", "body", "job_id"), takes_json=True)
#: A sign of life; it waits for no job.
RECEIVE_ALIVE = _writes(Call("receive_alive", "body", "job_id"), takes_json=True)
NOTE_INTAKE = _writes(Call("note_intake", "entries"), takes_json=True)

# --- tokens and signing in ----------------------------------------------------------------------------------------

_check_token, _has_tokens = Call("check_token", "digest"), Call("has_tokens")
WRITING.append(_has_tokens)
#: Columns: the token, null where it is unknown; whether there is any token at all.
CHECK_TOKEN = _writes(_check_token, f"SELECT {_check_token}, {_has_tokens}::text")
SIGN_IN_WAIT = _writes(Call("sign_in_wait", "source"))
_note_failed_sign_in = Call("note_failed_sign_in", "source")
#: Run twice, it counts one failure twice, which does no harm.
NOTE_FAILED_SIGN_IN = _writes(_note_failed_sign_in, f"SELECT {_note_failed_sign_in}::text")
_end_session = Call("end_session", "digest", "seconds")
END_SESSION = _writes(_end_session, f"SELECT {_end_session}::text")
HAS_SESSION_ENDED = _writes(Call("has_session_ended", "digest"))

# --- one job ------------------------------------------------------------------------------------------------------

_read_job = Call("read_job", "job_id", "timeline_limit", "known_tags")
#: Columns: the tag; the job, null where the caller's tag is the current one.
READ_JOB = _reads(_read_job, sql=f"SELECT tag, job FROM {_read_job}")
JOB_AT = _reads(Call("job_at", "job_id", "seq", "timeline_limit"))
TIMELINE_PAGE = _reads(Call("timeline_page", "job_id", "after_seq", "max_events", "event_kinds"))
TIMELINE_BEFORE_PAGE = _reads(Call("timeline_before_page", "job_id", "before_seq", "max_events", "event_kinds"))
HISTORY_PAGE = _reads(Call("history_page", "job_id", "field", "after_seq", "max_events"))
RATE_PAGE = _reads(Call("rate_page", job_id="$1", recent="make_interval(secs => $2::integer)"))
STAGES_PAGE = _reads(Call("stages_page", "job_id"))
JOB_LIVENESS = _reads(Call("job_liveness", "job_id", never_reported="make_interval(secs => $2::integer)"))
FAMILY = _reads(Call("family", "job_id", "max_jobs", "cursor", "id_prefix"))
JOB_SERIES = _reads(Call("job_series", "job_id", "other_id", "max_runs", "id_prefix"))
VERIFY_PAGE = _reads(Call("verify_page", "job_id"))
DIAGNOSE_JOB = _reads(Call("diagnose_job", "job_id"))
JOB_AREAS_PAGE = _reads(
    Call("areas_page", "job_id", "root_path", "max_depth", "max_areas", "id_prefix"), name="job_areas_page"
)

# --- across jobs: $1 is the prefix of the ids that the caller may see, null for all -----------------------------------

_FILTERS = (
    *("id_prefix", "status", "stage", "operation_type", "current_data_type", "item_type"),
    *("attributes", "series", "parent"),
)

LIST_JOBS = _reads(Call("list_jobs", *_FILTERS, "updated_since", "q", "max_jobs", "cursor"))
_newest_jobs = Call("newest_jobs", *_FILTERS, "q", "max_jobs", "cursor")
NEWEST_JOBS = _reads(_newest_jobs)
JOBS_BY_STATUS = _reads(Call("jobs_by_status", "id_prefix", "at_most"))
JOB_RATES = _reads(Call("job_rates", id_prefix="$1", ids="$2", recent="make_interval(secs => $3::integer)"))
THROUGHPUT_PAGE = _reads(Call("throughput_page", "id_prefix", "minutes"))
BUSIEST_PAGE = _reads(Call("busiest_page", "id_prefix", "max_jobs"))
VERIFY_NEWEST = _reads(Call("verify_newest", "id_prefix", "max_jobs"))
AREAS_PAGE = _reads(Call("areas_page", "id_prefix", "root_path", "max_depth", "max_areas"))
ERRORS_PAGE = _reads(Call("errors_page", "id_prefix", "since", "max_groups"))
STALLED_PAGE = _reads(
    Call("stalled_page", "id_prefix", "max_jobs", never_reported="make_interval(secs => $3::integer)")
)
RECENT_FAILURES = _reads(Call("recent_failures", "id_prefix", "since", "max_jobs"))
#: Those that the overview shows above its list.
LAST_FAILURES = _reads(Call("recent_failures", id_prefix="$1", max_jobs="5"), name="last_failures")
SERIES_RUNS = _reads(Call("series_runs", "id_prefix", "series", "max_runs"))
DAYS_PAGE = _reads(Call("days_page", "id_prefix", "days"))

# --- the server itself --------------------------------------------------------------------------------------------

DATABASE_FIGURES = _reads(Call("database_figures"))
OPERATING_FIGURES = _reads(Call("operating_figures", never_reported="make_interval(secs => $1::integer)"))
_wal_position = Call("wal_position")
WAL_POSITION = _reads(_wal_position, sql=f"SELECT replica, written FROM {_wal_position}")

# --- live pages: documents one a line, since jsonb written as text has no line feed ----------------------------------

_job_changes = Call(
    "job_changes",
    ids="ARRAY(SELECT jsonb_array_elements_text($1::jsonb))",
    seqs="$2::bigint[]",
    max_events="$3::integer",
    marks="$4::bigint[]",
)
#: Columns: what changed, without job and events, with the seqs of the events; the jobs; the events.
JOB_CHANGES = _reads(
    _job_changes,
    sql=f"""
WITH change AS MATERIALIZED (
  SELECT c.change, c.number FROM jsonb_array_elements({_job_changes}) WITH ORDINALITY AS c (change, number)
)
SELECT
  (SELECT jsonb_agg((c.change - '{{job,events}}'::text[])
      || jsonb_build_object('seqs', jsonb_path_query_array(c.change, '$.events[*].seq')) ORDER BY c.number)
    FROM change AS c)::text,
  (SELECT string_agg((c.change -> 'job')::text, chr(10) ORDER BY c.number) FROM change AS c WHERE c.change ? 'job'),
  (SELECT string_agg(e.event::text, chr(10) ORDER BY c.number, e.number)
    FROM change AS c, jsonb_array_elements(c.change -> 'events') WITH ORDINALITY AS e (event, number))""",
)
#: The parameters of NEWEST_JOBS. Columns: the next cursor; the rows; the ids of all; the ids of those that run.
NEWEST_JOBS_LIVE = _reads(
    _newest_jobs,
    name="newest_jobs_live",
    sql=f"""
WITH page AS MATERIALIZED (SELECT {_newest_jobs} AS page),
rows AS MATERIALIZED (
  SELECT r.job, r.number FROM page AS p, jsonb_array_elements(p.page -> 'jobs') WITH ORDINALITY AS r (job, number)
)
SELECT
  (SELECT p.page -> 'next' FROM page AS p)::text,
  (SELECT string_agg(r.job::text, chr(10) ORDER BY r.number) FROM rows AS r),
  (SELECT coalesce(jsonb_agg(r.job -> 'id' ORDER BY r.number), '[]') FROM rows AS r)::text,
  (SELECT coalesce(jsonb_agg(r.job -> 'id' ORDER BY r.number) FILTER (WHERE r.job ->> 'status' = 'running'), '[]')
    FROM rows AS r)::text""",
)
_statuses = Call("jobs_by_status", "id_prefix", "at_most")
_throughput = Call("throughput_page", id_prefix="$1", minutes="0")
_stalled = Call("stalled_page", id_prefix="$1", max_jobs="$3", never_reported="make_interval(secs => $4::integer)")
#: $2 is how far to count, $3 how many stalled jobs to name, $4 after how many seconds a job counts as
#: never reported on. Columns: statuses; throughput; stalled jobs.
TOTALS = _reads(
    *(_statuses, _throughput, _stalled),
    name="totals",
    sql=f"""
SELECT {_statuses}::text, (SELECT t.page - 'minutes' FROM {_throughput} AS t (page))::text,
  ({_stalled} -> 'jobs')::text""",
)
_rates = Call("job_rates", ids="ARRAY(SELECT jsonb_array_elements_text($1::jsonb) LIMIT 100)", recent="NULL")
#: $1 is a JSON array of ids. Columns: the rates by id.
RATES = _reads(_rates, name="rates", sql=f"SELECT ({_rates} -> 'rates')::text")
