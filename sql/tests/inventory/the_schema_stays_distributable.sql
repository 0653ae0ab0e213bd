-- The tables can be distributed over many machines by the job's id without changes. This is read from the catalogue, so
-- that no new table or function can break it unnoticed.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

-- The tables that belong to jobs, and by which column. Tokens, failed sign-ins and ended sessions are not job data: each
-- machine has a copy of these tables.
CREATE TEMPORARY VIEW job_column AS
SELECT c.oid AS table_oid, a.attname, a.attnum, a.atttypid, a.attcollation, a.attnotnull
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = CASE c.relname WHEN 'job' THEN 'id' ELSE 'job_id' END
WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind IN ('r', 'p') AND NOT a.attisdropped;

CREATE TEMPORARY VIEW job_function AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.prosrc, p.prolang, p.proretset, p.prosqlbody
FROM pg_proc AS p WHERE p.pronamespace = 'tallymark'::regnamespace;

SELECT is_empty(
  $$SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind IN ('r', 'p')
      AND c.relname NOT IN ('api_token', 'sign_in', 'ended_session') AND c.oid NOT IN (SELECT table_oid FROM job_column)$$,
  'every table has the job''s id, but those of tokens, failed sign-ins and ended sessions');
SELECT cmp_ok((SELECT count(*) FROM job_column), '>=', 3::bigint, 'and there are such tables');
SELECT is_empty(
  $$SELECT table_oid::regclass FROM job_column WHERE atttypid <> 'text'::regtype OR attcollation <> '"C"'::regcollation
      OR NOT attnotnull$$,
  'it is text in the collation C everywhere, and never null');
SELECT is_empty(
  $$SELECT i.indexrelid::regclass FROM pg_index AS i JOIN job_column AS j ON j.table_oid = i.indrelid
    WHERE (i.indisunique OR i.indisprimary) AND i.indkey[0] <> j.attnum$$,
  'it comes first in every primary key and unique index');
SELECT is_empty(
  $$SELECT t::regclass FROM (SELECT table_oid AS t FROM job_column) AS j
    WHERE NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = j.t AND i.indisprimary)$$,
  'every table has a primary key');
SELECT is_empty(
  $$SELECT c.conname FROM pg_constraint AS c JOIN job_column AS j ON j.table_oid = c.conrelid
    WHERE c.contype = 'f' AND NOT j.attnum = ANY (c.conkey)$$,
  'every foreign key has it');
SELECT is_empty(
  $$SELECT c.conname FROM pg_constraint AS c WHERE c.connamespace = 'tallymark'::regnamespace AND c.contype = 'x'$$,
  'there are no exclusion constraints');
SELECT is_empty(
  $$SELECT relname FROM pg_class WHERE relnamespace = 'tallymark'::regnamespace AND relkind = 'S'$$,
  'nothing is numbered across jobs: there are no sequences');
SELECT is_empty(
  $$SELECT t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = 'tallymark'::regnamespace
    UNION ALL SELECT r.rulename FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
    WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind <> 'v'$$,
  'there are no triggers and no rules');
SELECT is_empty(
  $$SELECT relname FROM pg_class WHERE relnamespace = 'tallymark'::regnamespace
      AND (relkind = 'p' OR relispartition OR relkind = 'm')$$,
  'nothing is partitioned, nothing materialised');
SELECT is_empty(
  $$SELECT f.signature FROM job_function AS f JOIN pg_language AS l ON l.oid = f.prolang
    WHERE l.lanname = 'sql' AND (f.proretset OR EXISTS (
      SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT table_oid FROM job_column)))$$,
  'no function in the language SQL gives sets or reads a table');
-- One skips jobs that others hold, for groups of updates. A distributed database can do that within a shard, so there a
-- group has the updates of one job.
SELECT is_empty(
  $$SELECT signature FROM job_function
    WHERE NOT (signature = 'tallymark.lock_free_jobs(text[],boolean)' AND prosrc !~* '\m(notify|listen|temp|dblink)\M')
      AND prosrc ~* '\m(notify|pg_notify|listen|create\s+temp|create\s+temporary|skip\s+locked|dblink)\M'$$,
  'none notifies, makes temporary tables or skips locked rows, but for lock_free_jobs');
-- A shard that moves can lose an update whose transaction began with a lock. Two updates would then get the same
-- number: it must stay unique, so that this is an error and callers try again.
SELECT isnt_empty(
  $$SELECT FROM pg_constraint WHERE conrelid = 'tallymark.job_event'::regclass AND contype IN ('p', 'u')
      AND pg_get_constraintdef(oid) ~ '\(job_id, seq\)'$$,
  'the number of an event is unique in its job, so that an update that was lost on the way is noticed');

SELECT * FROM finish();
ROLLBACK;
