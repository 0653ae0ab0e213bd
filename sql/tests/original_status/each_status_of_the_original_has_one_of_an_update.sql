-- Every status of a job but queued comes from an update with the status that is given for it.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(13);

SELECT is(tallymark.job_status(tallymark.original_status(s.status)), s.status, s.status)
FROM unnest('{running,finished,failed,paused,cancelled,credential_expired,waiting_credential_renewal,'
  'credential_renewed}'::text[]) AS s (status);
SELECT is(tallymark.original_status(' Completed '), 'completed', 'that of an update is one, too');
SELECT is(tallymark.original_status('new_areas_discovered'), 'processing', 'one that needs areas is not used');
SELECT is(tallymark.original_status('queued'), NULL, 'no update makes a job queued');
SELECT is(tallymark.original_status('exploded'), NULL, 'an unknown one has none');
SELECT is(tallymark.original_status(NULL), NULL, 'nor has null');

SELECT * FROM finish();
ROLLBACK;
