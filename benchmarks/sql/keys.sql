\set job random(1, :jobs)
\set processed random(1, 1000000000)
SELECT tallymark.merge_progress(:prefix::text || :job::text,
  bench.keyed_update(:prefix::text || :job::text, clock_timestamp(), :processed, 50));
