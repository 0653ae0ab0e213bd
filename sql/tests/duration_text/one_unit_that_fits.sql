-- Durations are written in the unit that people would choose.
BEGIN;
SET LOCAL search_path = tap, public;
SELECT plan(8);

SELECT is(tallymark.duration_text(d.span::interval), d.text, coalesce(d.span, 'nothing'))
FROM (VALUES (1, '-5 s', '0 s'), (2, '0.04 s', '0 s'), (3, '3.21 s', '3.2 s'), (4, '90 s', '90 s'), (5, '59 min',
  '59 minutes'), (6, '47 h', '47 hours'), (7, '400 days', '400 days'), (8, NULL, NULL)) AS d (number, span, text)
ORDER BY d.number;

SELECT * FROM finish();
ROLLBACK;
