-- Signs of life, and what a baseline keeps of the waits of a job.
-- depends: 0019-item-keys

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- After a rollback; see there.
UPDATE tallymark.job AS j SET progress = j.progress - 'doneBeyond' WHERE j.progress @> '{"doneBeyond": null}';
UPDATE tallymark.job_baseline AS b SET state = b.state #- '{progress,doneBeyond}',
  digest = sha256(convert_to(jsonb_build_array(b.job_id, b.seq, b.updates, b.state #- '{progress,doneBeyond}',
    (extract(epoch FROM b.command_after) * 1000000)::bigint)::text, 'UTF8')) -- that of baseline_digest
WHERE b.state @> '{"progress": {"doneBeyond": null}}';

-- No index: it changes every half minute, and each change shall stay a HOT update.
ALTER TABLE tallymark.job ADD COLUMN IF NOT EXISTS alive_at timestamptz;
COMMENT ON COLUMN tallymark.job.alive_at IS
  'When the last sign of life came, by the server''s clock; null where none ever did. No part of the state.';

-- Each gets a parameter more, which has a default, so calls stay as they are; stalled_jobs also gives further columns.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.stalled_jobs(numeric, interval, interval, text, integer, timestamptz);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.stalled_page(text, integer);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.alert_conditions(interval, integer, interval);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.raise_alerts(interval, integer, interval);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.operating_figures();
-- receive_group has locked the jobs before it calls this, so there is nothing to wait for.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS tallymark.receive_or_refuse(jsonb, text, text, boolean);
