-- Signs of life, and what a baseline keeps of the waits of a job.
-- depends: 0019-item-keys

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

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
