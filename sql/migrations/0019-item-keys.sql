-- The items that jobs count by their keys, so that each counts once wherever it is crawled.
-- depends: 0018-views-and-first-reports

SET LOCAL lock_timeout = '2s';
SET LOCAL search_path = pg_catalog, pg_temp;

-- These belong to the job and are written under its row's lock, as the ledger is. Rows are only ever added, so no room is
-- left in the pages of the table. The key's columns are in the order in which they tell most rows apart last: what a job
-- adds for one type stays together in the index.
CREATE TABLE IF NOT EXISTS tallymark.job_item (
  job_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  key_digest bytea NOT NULL,
  seq bigint NOT NULL,
  CONSTRAINT job_item_pkey PRIMARY KEY (job_id, type, key_digest)
);

ALTER TABLE tallymark.job_item OWNER TO tallymark_owner;

COMMENT ON TABLE tallymark.job_item IS
  'The items that jobs count by their keys (itemKeys), one row a key. The keys themselves are stored nowhere.';
COMMENT ON COLUMN tallymark.job_item.job_id IS 'The job.';
COMMENT ON COLUMN tallymark.job_item.type IS 'The type of the item, as in itemsByType.';
COMMENT ON COLUMN tallymark.job_item.key_digest IS '128 bits of the SHA-256 of the item''s key; see item_digest.';
COMMENT ON COLUMN tallymark.job_item.seq IS 'The number of the first event whose update had the key.';

-- A crawler may have sent a field of its own that was called itemKeys. It keeps the value under another name.
DO $$
DECLARE
  c_old CONSTANT text := 'itemKeys';
  c_new CONSTANT text := 'earlierItemKeys';
  v_row record;
  v_state jsonb;
BEGIN
  FOR v_row IN
    -- Crawlers go on reporting, so a job is locked before its state is read.
    SELECT j.id, false AS is_baseline, NULL::jsonb AS state FROM tallymark.job AS j WHERE j.progress ? c_old
    UNION ALL
    SELECT b.job_id, true, b.state FROM tallymark.job_baseline AS b WHERE b.state -> 'progress' ? c_old
    ORDER BY 1, 2
  LOOP
    v_state := v_row.state;
    IF NOT v_row.is_baseline THEN
      v_state := (
        SELECT jsonb_build_object('progress', j.progress, 'clocks', j.clocks, 'newest_fields', j.newest_fields)
        FROM tallymark.job AS j WHERE j.id = v_row.id FOR NO KEY UPDATE);
      CONTINUE WHEN v_state IS NULL; -- it was deleted
    END IF;
    v_state := v_state || jsonb_build_object(
      'progress', (v_state -> 'progress') - c_old
        || jsonb_build_object(c_new, v_state -> 'progress' -> c_old),
      'clocks', (v_state -> 'clocks') - c_old || CASE WHEN v_state -> 'clocks' ? c_old
        THEN jsonb_build_object(c_new, v_state -> 'clocks' -> c_old) ELSE '{}' END,
      -- In the order of the members of jsonb.
      'newest_fields', (
        SELECT coalesce(jsonb_agg(f.name ORDER BY octet_length(f.name), f.name COLLATE "C"), '[]')
        FROM (
          SELECT CASE n.name WHEN c_old THEN c_new ELSE n.name END AS name
          FROM jsonb_array_elements_text(v_state -> 'newest_fields') AS n (name)) AS f));
    IF v_row.is_baseline THEN
      -- The digest is that of baseline_digest, which is not installed yet in a new database.
      UPDATE tallymark.job_baseline AS b SET state = v_state,
        digest = sha256(convert_to(jsonb_build_array(b.job_id, b.seq, b.updates, v_state,
          (extract(epoch FROM b.command_after) * 1000000)::bigint)::text, 'UTF8'))
      WHERE b.job_id = v_row.id;
    ELSE
      UPDATE tallymark.job AS j SET progress = v_state -> 'progress', clocks = v_state -> 'clocks',
        newest_fields = ARRAY(SELECT jsonb_array_elements_text(v_state -> 'newest_fields'))
      WHERE j.id = v_row.id;
    END IF;
    UPDATE tallymark.job_event AS e
    SET payload = (e.payload - c_old) || jsonb_build_object(c_new, e.payload -> c_old)
    WHERE e.job_id = v_row.id AND e.payload ? c_old;
  END LOOP;
END
$$;
