\set job random(1, :jobs)
\set processed random(1, 1000000)
SELECT answer, refusal, held FROM tallymark.receive_group(
  ARRAY(SELECT bench.lifelike_update(:prefix::text || ((:job::integer + n * 311) % :jobs::integer + 1)::text,
      clock_timestamp(), :processed::integer, n % 50 + 1)
    FROM generate_series(1, :updates::integer) AS n),
  array_fill(NULL::text, ARRAY[:updates::integer]), array_fill(NULL::text, ARRAY[:updates::integer]));
