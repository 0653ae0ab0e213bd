-- Statuses are ASCII, and their letter case does not depend on the language of the database: in Turkish the lower case
-- of I is another letter, and FAILED would not be a status.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

CREATE FUNCTION pg_temp.status_in_turkish(status text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_status text;
BEGIN
  EXECUTE 'SELECT tallymark.job_status($1 COLLATE "tr-x-icu")' INTO v_status USING status;
  RETURN v_status;
END
$$;
SELECT CASE WHEN EXISTS (SELECT FROM pg_collation WHERE collname = 'tr-x-icu')
  THEN is(pg_temp.status_in_turkish(c.status), c.job, c.status || ' in Turkish')
  ELSE skip('this server is built without ICU', 1) END
FROM (VALUES (1, 'FAILED', 'failed'), (2, 'CREDENTIAL_EXPIRY', 'credential_expired')) AS c (number, status, job)
ORDER BY c.number;

SELECT * FROM finish();
ROLLBACK;
