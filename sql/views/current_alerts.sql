-- The alerts that are open, for those who have tools of their own. It reads through a function, since a view lends
-- nobody its owner's rights where tables are distributed.

CREATE OR REPLACE VIEW tallymark.current_alerts AS
SELECT a.job_id, a.kind, a.opened_at, a.told_at, a.says, a.facts
FROM tallymark.list_alerts() AS a;

COMMENT ON VIEW tallymark.current_alerts IS
'The alerts that are open, those that were noticed last first: see list_alerts. As fresh as the last round of tallymark
watchdog, or of raise_alerts.';

REVOKE ALL ON tallymark.current_alerts FROM PUBLIC;
GRANT SELECT ON tallymark.current_alerts TO tallymark_reader, tallymark_admin;
