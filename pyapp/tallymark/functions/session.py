"""What a session is set to, so that no setting of a role, a database or the server changes what our calls mean.

A session that goes through a pooler belongs to other clients as well, so nothing may be set there.
"""

import psycopg

from tallymark.functions.call import Connection

#: PostgreSQL's own defaults, on which statements and stored functions rely. `default_transaction_read_only` is not
#: here: who made a database read-only wants no updates.
_DEFAULTS = {
    "search_path": "pg_catalog, pg_temp",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "client_encoding": "UTF8",
    # PostgreSQL confirms a commit that its replica has not confirmed, with a warning.
    "client_min_messages": "warning",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "row_security": "on",
    "plan_cache_mode": "auto",
    "idle_session_timeout": "0",
}
#: From version 17 on. It would end the session, where a statement's own timeout only ends the statement.
_TRANSACTION_TIMEOUT = ("transaction_timeout", "0", 170000)

#: Set in SQL, because poolers do not pass on the `options` of a URL. What was acknowledged must be on disk;
#: `synchronous_commit` may be stricter than `on`, or `local`, but not off.
_SET = """
SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)
UNION ALL SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""


def configure(connection: Connection, more: dict[str, str]) -> None:
    """Set what we rely on in a session that is all ours, and more.

    Raises:
        psycopg.Error: The database is away, or does not know a setting.
    """
    settings = _DEFAULTS | more
    name, value, since = _TRANSACTION_TIMEOUT
    if connection.info.server_version >= since:
        settings[name] = value
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(_SET, [list(settings), list(settings.values())])
