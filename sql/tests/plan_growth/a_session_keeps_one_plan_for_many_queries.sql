-- PostgreSQL itself keeps one plan for many queries, so nothing needs to be set where there is no Citus.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(2);

SELECT is(tallymark.plan_growth(), 0::bigint, 'further queries of a job take no more memory');
SET LOCAL plan_cache_mode = force_custom_plan;
SELECT is(tallymark.plan_growth(), 0::bigint, 'whatever the session is set to');

SELECT * FROM finish();
ROLLBACK;
