\set job random(1, :jobs)
\set processed random(1, 1000000)
SELECT tallymark.merge_progress_batch(bench.lifelike_batch(:prefix::text, :jobs, :job, :updates, :processed));
