"""Settings that an administrator may have made, each far from what PostgreSQL has by default."""

from typing import Any

import psycopg

#: Those that a session of ours sets for itself, and what it sets them to.
RELIED_ON = {
    "search_path": ("nowhere", "pg_catalog, pg_temp"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "default_transaction_deferrable": ("on", "off"),
    "exit_on_error": ("on", "off"),
    "idle_session_timeout": ("4min", "0"),
    "transaction_timeout": ("5min", "0"),
    "client_encoding": ("LATIN1", "UTF8"),
    "standard_conforming_strings": ("off", "on"),
    "array_nulls": ("off", "on"),
    "transform_null_equals": ("on", "off"),
    "client_min_messages": ("error", "warning"),
    "DateStyle": ("German", "ISO, MDY"),
    "IntervalStyle": ("sql_standard", "postgres"),
    "TimeZone": ("Asia/Kathmandu", "UTC"),
    "bytea_output": ("escape", "hex"),
    "extra_float_digits": ("-15", "1"),
    "quote_all_identifiers": ("on", "off"),
    "row_security": ("off", "on"),
    "gin_fuzzy_search_limit": ("1", "0"),
    "jit": ("on", "off"),
    "plan_cache_mode": ("force_custom_plan", "auto"),
    "synchronous_commit": ("off", "on"),
}

#: Those of which nothing depends in a session of ours, and nothing in a stored function either.
OTHERS = {
    "backslash_quote": "off",
    "escape_string_warning": "off",
    "xmlbinary": "hex",
    "xmloption": "document",
    "check_function_bodies": "off",
    "enable_seqscan": "off",
    "enable_indexscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_nestloop": "off",
    "enable_sort": "off",
    "enable_hashagg": "off",
    "enable_material": "off",
    "jit_above_cost": "0",
    "work_mem": "64kB",
    "from_collapse_limit": "1",
    "join_collapse_limit": "1",
    "constraint_exclusion": "off",
    "default_statistics_target": "1",
    "default_toast_compression": "pglz",
    "default_table_access_method": "heap",
    "vacuum_freeze_min_age": "0",
    "plpgsql.variable_conflict": "use_variable",
    "plpgsql.extra_errors": "all",
    "plpgsql.extra_warnings": "all",
    "plpgsql.print_strict_params": "on",
    # From version 16 on it has another name.
    "force_parallel_mode": "on",
    "debug_parallel_query": "on",
}


def known(db: psycopg.Connection[Any]) -> set[str]:
    """Return the names of the settings that this version of PostgreSQL has."""
    # It loads the language, and with it the language's settings.
    db.execute("DO $$BEGIN END$$")
    return {name for (name,) in db.execute("SELECT name FROM pg_settings")}
