-- Shows the open alerts, for other tools. The view reads through a function, because where tables are distributed a
-- view does not lend its owner's rights.

CREATE OR REPLACE VIEW tallymark.current_alerts AS
SELECT a.job_id, a.kind, a.opened_at, a.told_at, a.says, a.facts
FROM tallymark.list_alerts() AS a;

COMMENT ON VIEW tallymark.current_alerts IS
'Shows the open alerts, the last opened first, as of the last round of tallymark watchdog, or the last call of
raise_alerts.';

COMMENT ON COLUMN tallymark.current_alerts.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.current_alerts.kind IS
'stalled, failed, shortfall, credentials, errors, unusual, missed or mismatch; see alert_conditions.';
-- Here, and in no migration, so that it is that of this release after every migrate.
COMMENT ON COLUMN tallymark.alert.kind IS
'stalled, failed, shortfall, credentials, errors, unusual, missed or mismatch; see alert_conditions.';
COMMENT ON COLUMN tallymark.current_alerts.opened_at IS 'When it was noticed, by the server''s clock.';
COMMENT ON COLUMN tallymark.current_alerts.told_at IS
'When the message about it was sent or given up; null where not yet.';
COMMENT ON COLUMN tallymark.current_alerts.says IS 'What is wrong and what to do, for people.';
COMMENT ON COLUMN tallymark.current_alerts.facts IS 'What was known when it was noticed; see alert_conditions.';

REVOKE ALL ON tallymark.current_alerts FROM PUBLIC;
GRANT SELECT ON tallymark.current_alerts TO tallymark_reader, tallymark_admin;
