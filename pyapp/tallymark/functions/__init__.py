"""The stored functions as Python functions. Only this package and `schema` name functions of the database.

`jobs`, `stats`, `tokens`, `retention`, `alerts`, `diagnosis` and `original` are for callers with a psycopg connection
of their own, `http` has the endpoint's statements; `call` says how a call is made, `errors` what a refusal becomes.
"""

from tallymark.functions.alerts import (
    Alert as Alert,
    Message as Message,
    claim_alert_messages as claim_alert_messages,
    confirm_alert_message as confirm_alert_message,
    fail_alert_message as fail_alert_message,
    forget_alerts as forget_alerts,
    list_alerts as list_alerts,
    note_paces as note_paces,
    note_verification as note_verification,
    raise_alerts as raise_alerts,
    verify_next_jobs as verify_next_jobs,
)
from tallymark.functions.diagnosis import (
    Diagnosis as Diagnosis,
    Finding as Finding,
    Scenario as Scenario,
    diagnose_job as diagnose_job,
)
from tallymark.functions.errors import (
    Conflict as Conflict,
    InvalidUpdate as InvalidUpdate,
    JobNotFound as JobNotFound,
    NotGranted as NotGranted,
    PayloadTooLarge as PayloadTooLarge,
    TallymarkError as TallymarkError,
    Unavailable as Unavailable,
)
from tallymark.functions.jobs import (
    Difference as Difference,
    Event as Event,
    Step as Step,
    accumulation_history as accumulation_history,
    create_job as create_job,
    get_job as get_job,
    job_at as job_at,
    job_changes as job_changes,
    job_ids as job_ids,
    list_jobs as list_jobs,
    merge_progress as merge_progress,
    merge_progress_batch as merge_progress_batch,
    newest_jobs as newest_jobs,
    note_alive as note_alive,
    request_command as request_command,
    timeline as timeline,
    timeline_before as timeline_before,
    timeline_page as timeline_page,
    unseen_items as unseen_items,
    verify_differences as verify_differences,
    verify_job as verify_job,
)
from tallymark.functions.original import (
    import_original_job as import_original_job,
    import_original_row as import_original_row,
)
from tallymark.functions.retention import (
    Ended as Ended,
    Item as Item,
    Prunable as Prunable,
    Pruned as Pruned,
    delete_job as delete_job,
    ended_jobs as ended_jobs,
    item_page as item_page,
    job_record as job_record,
    ledger_page as ledger_page,
    prunable_events as prunable_events,
    prune_job as prune_job,
    resummarize_ledger as resummarize_ledger,
)
from tallymark.functions.stats import (
    Area as Area,
    BusyJob as BusyJob,
    Day as Day,
    ErrorGroup as ErrorGroup,
    Frequency as Frequency,
    Minute as Minute,
    Stage as Stage,
    StalledJob as StalledJob,
    Waited as Waited,
    areas_tree as areas_tree,
    busiest_jobs as busiest_jobs,
    database_figures as database_figures,
    error_groups as error_groups,
    events_per_minute as events_per_minute,
    family as family,
    job_areas as job_areas,
    job_liveness as job_liveness,
    job_rate as job_rate,
    job_rates as job_rates,
    job_series as job_series,
    jobs_by_status as jobs_by_status,
    jobs_per_day as jobs_per_day,
    recent_failures as recent_failures,
    series_runs as series_runs,
    stage_durations as stage_durations,
    stalled_jobs as stalled_jobs,
    update_frequency as update_frequency,
    verify_newest as verify_newest,
    waiting_times as waiting_times,
)
from tallymark.functions.tokens import (
    Token as Token,
    TokenNotFound as TokenNotFound,
    create_token as create_token,
    list_tokens as list_tokens,
    revoke_token as revoke_token,
)
