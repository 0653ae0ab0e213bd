-- Each problem in a refusal has a text, whatever the member: a field name alone does not help.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(34);

SELECT matches(tallymark.member_rule(m.name), '^must (be|take) ', m.name || ' has its rule in words')
FROM unnest('{taskId,status,timestamp,processedItems,totalItems,processed,total,groupCount,projectCount,groupTotal,
  projectTotal,itemsByType,itemKeys,currentDataType,stage,operationType,lastProcessedId,message,error,progress,areas,
  credentialStatus,timeline,updateId,workerId,counting,doneBeyond,waitUntil,reason,
  foundByType,failedByType,skippedByType,totalsByType}'::text[]) AS m (name);
SELECT is(tallymark.member_rule('anything'), NULL, 'a member that may be anything has none');

SELECT * FROM finish();
ROLLBACK;
