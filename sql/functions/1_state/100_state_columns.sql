-- The one list of the columns of tallymark.job that are the job's state. A column that is added to the table must be
-- added here, or to the columns that are not state in tests/database/test_state_columns.py, which holds all functions
-- that store, fold, compare or keep a state to this list.

CREATE OR REPLACE FUNCTION tallymark.state_columns() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY['status', 'progress', 'facets', 'workers', 'newest_at', 'newest_key', 'newest_fields', 'clocks',
  'resume_state', 'started_at', 'finished_at', 'requested_command', 'command_seq'];

COMMENT ON FUNCTION tallymark.state_columns() IS
'Lists the columns of tallymark.job that are the job''s state: those that follow from its updates and commands, and so
from the fold of its ledger.
Returns: their names.';

REVOKE ALL ON FUNCTION tallymark.state_columns() FROM PUBLIC;
