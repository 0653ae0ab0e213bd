-- Shows the open alerts, for other tools. The view reads through a function, because where tables are distributed a
-- view does not lend its owner's rights.

CREATE OR REPLACE VIEW tallymark.current_alerts AS
SELECT a.job_id, a.kind, a.opened_at, a.told_at, a.says, a.facts
FROM tallymark.list_alerts() AS a;

COMMENT ON VIEW tallymark.current_alerts IS
'Shows the open alerts, the last opened first, as of the last round of tallymark watchdog, or the last call of
raise_alerts. Columns: job_id, kind, opened_at, told_at (when the message about the opening was sent or given up, null
where not yet), says (text for people), facts (see alert_conditions).';

REVOKE ALL ON tallymark.current_alerts FROM PUBLIC;
GRANT SELECT ON tallymark.current_alerts TO tallymark_reader, tallymark_admin;
