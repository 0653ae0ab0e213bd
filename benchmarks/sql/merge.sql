\set job random(1, :jobs)
\set processed random(1, 1000000)
\set found random(1, 50)
SELECT tallymark.merge_progress(:prefix::text || :job::text,
  bench.lifelike_update(:prefix::text || :job::text, clock_timestamp(), :processed, :found));
