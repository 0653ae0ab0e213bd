-- A command is pending until the crawler reports a status that obeys it. All statuses are tried with each command.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(6);

CREATE FUNCTION pg_temp.obeying(command text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(s.status, ' ' ORDER BY s.status COLLATE "C") FILTER (WHERE tallymark.obeys($1, s.status))
  FROM
    unnest('{queued,running,waiting,paused,finished,failed,cancelled,credential_expired,'
    'waiting_credential_renewal,credential_renewed}'::text[]) AS s (status)
  HAVING bool_and(tallymark.obeys($1, s.status) IS NOT NULL)
$$;
SELECT is(pg_temp.obeying('pause'), 'cancelled failed finished paused', 'pause: by a pause or an end');
SELECT is(pg_temp.obeying('cancel'), 'cancelled failed finished', 'cancel: by an end');
SELECT is(pg_temp.obeying('resume'), 'cancelled failed finished running', 'resume: by a job that runs, or an end');
SELECT is(tallymark.obeys(c.command, 'running'), NULL, coalesce(c.command, 'null') || ' is no command')
FROM (VALUES (1, 'Pause'), (2, ''), (3, NULL)) AS c (number, command) ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
