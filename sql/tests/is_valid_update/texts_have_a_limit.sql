-- Texts must be strings of a limited length, counted in characters, not bytes.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(47);
\ir ../helpers.psql

DO $$ BEGIN PERFORM tallymark.create_job('job'); END $$;

SELECT is(pg_temp.at_fault(jsonb_build_object(m.name, repeat(c.one, m.most))), 'taken',
  format('%s may have %s characters of %s', m.name, m.most, c.kind))
FROM (VALUES ('currentDataType', 100), ('stage', 100), ('workerId', 100), ('lastProcessedId', 255), ('updateId', 255))
  AS m (name, most)
CROSS JOIN (VALUES ('x', 'one byte'), (U&'\20AC', 'three bytes')) AS c (one, kind);
SELECT is(pg_temp.at_fault(jsonb_build_object(m.name, repeat('x', m.most + 1))), m.name,
  format('%s may not have one more than %s characters', m.name, m.most))
FROM (VALUES ('currentDataType', 100), ('stage', 100), ('workerId', 100), ('lastProcessedId', 255), ('updateId', 255))
  AS m (name, most);
SELECT is(pg_temp.at_fault(jsonb_build_object(m.name, '')), m.name, m.name || ' may not be empty')
FROM unnest('{updateId,workerId,status,timestamp,operationType,counting}'::text[]) AS m (name);
SELECT is(pg_temp.at_fault(jsonb_build_object(m.name, c.value)), m.name, format('%s may not be %s', m.name, c.value))
FROM unnest('{currentDataType,stage,workerId,lastProcessedId,updateId,message,operationType,counting}'::text[])
  AS m (name)
CROSS JOIN (VALUES ('5'::jsonb), ('["x"]'), ('{"x": 1}')) AS c (value);
SELECT is(pg_temp.at_fault(jsonb_build_object('message', repeat('x', 5000))), 'taken',
  'a message of any length is taken');
SELECT is(pg_temp.at_fault(jsonb_build_object('stage', '', 'currentDataType', '', 'lastProcessedId', '', 'message',
  '')),
  'taken', 'what needs no content may be empty');

SELECT * FROM finish();
ROLLBACK;
