"""Which files of sql/tests run on a distributed database, where, and which of their promises do not hold there.

All that is listed is about the statements of the files themselves, but for two kinds of promises in `NOT_KEPT`: calls
with NULL, and what readers may read. docs/scaling.md says both.
"""

TIMES = "it moves times by an expression of their columns, in an UPDATE, which Citus refuses"
CASES = "Citus writes its CASE with a value wrongly, in an INSERT or an UPDATE"
FORM = "one of its own queries has a form that Citus refuses"
ONE_TABLE = "it looks at the plan of a query of one table, with the blocks or the index that it uses"
PRETENDS = "it makes a table as if there were Citus"
ASSERTS = "its queries of tables call pgTAP, or functions of its own, which only the coordinator has"
CALLS = "its queries of tables call functions that read tables, for each row"
USERS = "it makes roles, and becomes one of them within a transaction"
CLOCK = "its queries of tables ask for the time, or it allows a second for what takes longer between nodes"
LOGIN = "nodes log in to each other as these roles"
NULLS = "a function that runs on the node of its job is STRICT"
MOVED = "a row cannot be moved to another job, so that is not found but refused"
READS = "readers and admins may read the tables behind the views"
OTHER_CODE = "it is refused with 0A000, before rights are looked at"

#: Files that do not run there, by the reason.
NOT_THERE: dict[str, tuple[str, ...]] = {
    TIMES: (
        "busiest_jobs/the_most_frequently_reported_come_first.sql",
        "diagnose_performance/the_guideline_is_the_measure.sql",
        "error_groups/a_trend_has_24_equal_parts.sql",
        "job_changes/more_than_16_mb_are_told_in_turns.sql",
        "newest_jobs/pages_lead_through_all_jobs_once.sql",
    ),
    CASES: (
        "areas_tree/each_sees_what_its_own_jobs_say.sql",
        "events_per_minute/each_event_counts_in_its_minute.sql",
    ),
    FORM: (
        "merge_batch/a_thousand_updates_of_many_jobs_are_one_batch.sql",
        "merge_progress_batch/keys_of_items_count_once_in_a_batch.sql",
        "merge_state/one_worker_or_many_in_any_order.sql",
        "within_limits/the_shortest_names_stay.sql",
    ),
    ONE_TABLE: (
        "events_per_minute/the_ledger_is_not_read_for_its_last_minutes.sql",
        "views/the_usual_conditions_use_an_index.sql",
    ),
    PRETENDS: ("merge_batch/jobs_may_be_on_several_machines.sql",),
}

#: Files that run where all shards are on the coordinator, by the reason.
BESIDE: dict[str, tuple[str, ...]] = {
    ASSERTS: (
        "acknowledge_duplicate/an_update_id_used_for_other_content_warns.sql",
        "advance_clocks/a_tie_is_forgotten_when_time_goes_on.sql",
        "append_own_events/they_follow_the_updates_own_event.sql",
        "claim_alert_messages/who_cannot_be_reached_is_given_up.sql",
        "current_wait/a_wait_says_all_about_itself.sql",
        "diagnose_intake/timestamps_to_the_second_are_named_as_a_cause.sql",
        "ended_jobs/jobs_that_ended_and_were_left_alone_are_found.sql",
        "error_groups/like_errors_are_counted_together.sql",
        "event_details/a_credential_change_says_what_the_crawler_said.sql",
        "event_facts/a_stage_change_says_from_where_to_where.sql",
        "get_job/a_job_reads_in_the_originals_shape.sql",
        "has_huge_number/what_no_double_can_hold_is_found.sql",
        "import_original_job/the_columns_are_taken_as_the_row.sql",
        "import_original_row/a_changed_row_is_followed_until_a_crawler_reports_here.sql",
        "import_original_row/counts_become_one_first_event.sql",
        "import_original_row/what_is_wrong_is_named_and_kept.sql",
        "merge_areas/each_member_is_that_of_the_newest_update.sql",
        "merge_progress/a_clock_ahead_counts_as_now.sql",
        "merge_progress/a_completion_with_areas_counts_them.sql",
        "merge_progress/a_counting_that_is_null_is_none.sql",
        "merge_progress/a_late_update_does_not_move_a_newer_field.sql",
        "merge_progress/an_areas_status_without_areas_is_refused.sql",
        "merge_progress/an_update_id_counts_once_on_its_job.sql",
        "merge_progress/credentials_pause_and_resume_a_job.sql",
        "merge_progress/resume_state_is_the_newest_given_and_completed_clears_it.sql",
        "merge_progress/started_at_is_the_earliest_report.sql",
        "merge_progress/the_ledger_is_numbered_without_gaps.sql",
        "merge_progress/the_newest_error_is_kept_with_its_time.sql",
        "merge_progress/the_newest_lifecycle_update_gives_the_status.sql",
        "merge_progress/the_timestamps_of_a_tie_may_be_written_differently.sql",
        "merge_progress_batch/a_bad_update_spoils_none_of_the_others.sql",
        "merge_progress_batch/a_number_of_many_digits_spoils_none_of_the_others.sql",
        "merge_progress_batch/only_an_array_of_at_most_a_thousand_is_a_batch.sql",
        "merge_progress_batch/the_first_of_a_key_counts.sql",
        "note_intake/one_row_for_each_job_outcome_and_code.sql",
        "pending_command/what_was_asked_outlives_its_event.sql",
        "prepare_item_keys/each_key_becomes_its_digest_once.sql",
        "prune_job/an_update_that_was_pruned_still_counts_once.sql",
        "prune_job/items_of_pruned_updates_still_count_once.sql",
        "prune_job/the_state_stays_and_the_rest_still_folds_to_it.sql",
        "receive_progress/the_idempotency_key_is_an_update_id.sql",
        "register_reported/an_update_that_is_taken_registers_its_job.sql",
        "request_command/a_command_is_on_the_record_once.sql",
        "unseen_items/those_not_counted_yet_come_back_in_order.sql",
        "update_problems/all_are_told_at_once.sql",
        "verify_differences/a_tampered_row_is_found.sql",
        "verify_next_jobs/jobs_are_verified_when_something_happened_to_them.sql",
        "views/a_job_has_the_values_of_get_job.sql",
        "views/an_event_has_the_values_of_the_timeline.sql",
        "without_huge_numbers/what_cannot_be_written_is_left_out.sql",
    ),
    CALLS: (
        "accumulation_history/it_agrees_with_the_job_at_each_event.sql",
        "acknowledgement/a_start_returns_what_is_done_beyond_its_cursor.sql",
        "advance_clocks/a_tie_goes_to_the_terminal_status.sql",
        "claim_alert_messages/each_message_is_handed_out_to_one_in_its_turn.sql",
        "merge_batch/a_command_goes_with_every_result_until_it_is_obeyed.sql",
        "merge_progress/a_command_is_asked_until_it_is_obeyed.sql",
        "merge_progress/any_order_gives_the_same_counts.sql",
        "merge_progress/any_order_gives_the_same_state.sql",
        "merge_progress/areas_are_counted_once_per_path.sql",
        "merge_progress/areas_in_any_order_are_the_same_areas.sql",
        "merge_progress/items_count_once_by_their_keys.sql",
        "merge_progress/items_in_any_order_are_the_same_items.sql",
        "merge_progress/legacy_names_are_understood.sql",
        "merge_progress_batch/a_batch_is_the_same_as_its_updates_one_by_one.sql",
        "note_alive/a_sign_of_life_is_no_update.sql",
        "update_frequency/an_import_is_no_habit.sql",
    ),
    USERS: (
        "import_original_row/only_an_admin_may_import.sql",
        "roles/each_role_may_call_its_own_functions_only.sql",
        "roles/only_an_admin_handles_tokens.sql",
        "views/only_readers_and_admins_may_select.sql",
    ),
    CLOCK: (
        "create_job/a_bad_job_is_refused.sql",
        "receive_job/a_body_is_taken_as_it_comes.sql",
        "throughput_page/the_last_minute_and_those_before.sql",
    ),
}

#: Promises that do not hold there, by file, with the reason. All others of the file do.
NOT_KEPT: dict[str, dict[str, str]] = {
    "inventory/every_function_is_commented_and_public_has_nothing.sql": {
        "our roles can neither log in nor do what a group of grantees must not": LOGIN,
    },
    "inventory/the_schema_stays_distributable.sql": {
        "there are no triggers and no rules": "Citus makes triggers",
    },
    "receive_unseen/only_a_type_and_keys_are_a_question.sql": {
        "Invalid request body: nothing": NULLS,
    },
    "refuse_unknown_job/every_door_refuses_an_unknown_job.sql": {
        "SELECT tallymark.merge_progress: no id": NULLS,
        "SELECT tallymark.verify_job: no id": NULLS,
    },
    "refuse_update/a_refusal_carries_code_message_and_detail.sql": {
        "the SQL null": NULLS,
    },
    "verify_differences/a_tampered_ledger_is_found.sql": {
        "another time": TIMES,
    },
    "verify_differences/a_tampered_row_is_found.sql": {
        "newest_at = newest_at + '1s'::interval": TIMES,
    },
    "verify_differences/tampered_areas_are_found.sql": {
        "discovered_at = discovered_at + '1 microsecond'": TIMES,
        "job_id = 'third'": MOVED,
    },
    "verify_differences/tampered_items_are_found.sql": {
        "UPDATE tallymark.job_item SET job_id = 'third' WHERE job_id = 'job' AND seq = 1": MOVED,
        "then: UPDATE tallymark.job_item SET job_id = 'third' WHERE job_id = 'job' AND seq = 1": MOVED,
    },
    "views/only_readers_and_admins_may_select.sql": {
        "tallymark_admin may not INSERT INTO tallymark.jobs (id) VALUES ('x')": OTHER_CODE,
        "tallymark_admin may not SELECT FROM tallymark.job": READS,
        "tallymark_admin may not SELECT FROM tallymark.job_event": READS,
        "tallymark_reader may not INSERT INTO tallymark.jobs (id) VALUES ('x')": OTHER_CODE,
        "tallymark_reader may not SELECT FROM tallymark.job": READS,
        "tallymark_reader may not SELECT FROM tallymark.job_event": READS,
    },
}
