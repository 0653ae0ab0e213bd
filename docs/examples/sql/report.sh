#!/bin/sh
# Stores pages in a table of its own, and counts them in Tallymark in the same transactions: both happen, or neither.
#
#   DATABASE_URL=postgresql://crawler_service@db.example/tallymark sh report.sh JOB PAGE...
#
# The job is registered. The table: CREATE TABLE page (url text NOT NULL).
set -eu

attempts=10
job=$1
shift

# psql's exit status: 2, the connection broke; 3, the script failed. Standard error has only SQLSTATEs.
report() {
    psql "$DATABASE_URL" --no-psqlrc --quiet --tuples-only --output=/dev/null \
        --set=ON_ERROR_STOP=1 --set=VERBOSITY=sqlstate --set=job="$job" --set=page="$1" <<'SQL'
BEGIN;
SET LOCAL lock_timeout = '2s';
INSERT INTO page (url) VALUES (:'page');
-- The job is locked from here on, so this comes last.
SELECT tallymark.merge_progress(:'job',
  jsonb_build_object('updateId', :'page', 'itemsByType', jsonb_build_object('pages', 1))) ->> 'duplicate' AS duplicate \gset
\if :duplicate
  -- An earlier attempt was committed, and the page is stored: undo this one.
  ROLLBACK;
\else
  COMMIT;
\endif
SQL
}

for page in "$@"; do
    attempt=1
    until said=$(report "$page" 2>&1); do
        status=$?
        state=$(printf '%s\n' "$said" | sed -n 's/.*\(ERROR\|FATAL\): *\([0-9A-Z]\{5\}\)$/\2/p' | head -n 1)
        case $status:$state in
        2:* | *:08* | *:40* | *:53* | *:57* | *:25P03 | *:25P04 | *:55P03) ;;
        *) printf '%s\n' "$said" >&2; exit 1 ;;
        esac
        [ "$attempt" -lt "$attempts" ] || { printf '%s\n' "$said" >&2; exit 1; }
        echo "again: $state" >&2
        sleep "$attempt"
        attempt=$((attempt + 1))
    done
done
