"""The settings that a server, a database, a role or an environment may have, and what each may change.

A setting may change nothing. Where something cannot work, `differs` names the steps whose answer is another one, with a
pattern of what that answer must have in it, and `reason` says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """Settings that are made together.

    Attributes:
        name: What the test is called.
        settings: The values by the names of the settings, as SQL.
        since: The first version of PostgreSQL that has them.
        levels: Where they can be made.
        prepare: SQL that is run in the database first.
        differs: Patterns of answers that are other ones than in a plain run, by patterns of the names of steps.
        reason: Why they are.
        spoils: Whether what is stored is something else afterwards, too.
    """

    name: str
    settings: Mapping[str, str]
    since: int = 15
    levels: tuple[str, ...] = ("role", "database", "role in database", "server")
    prepare: str = ""
    differs: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    spoils: bool = False


#: A schema whose functions, operators, types and tables stand in the way of those that are meant.
_HOSTILE = """
CREATE SCHEMA {0};
GRANT ALL ON SCHEMA {0} TO PUBLIC;
CREATE FUNCTION {0}.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1999-01-01Z'::timestamptz $$;
CREATE FUNCTION {0}.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1999-01-01Z'::timestamptz $$;
CREATE FUNCTION {0}.jsonb_build_object(VARIADIC "any") RETURNS jsonb LANGUAGE internal AS 'jsonb_build_object_noargs';
CREATE FUNCTION {0}.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT 'null'::jsonb $$;
CREATE FUNCTION {0}.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT 'hostile' $$;
CREATE FUNCTION {0}.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'hostile' $$;
CREATE FUNCTION {0}.pg_backend_pid() RETURNS integer LANGUAGE sql AS $$ SELECT 0 $$;
CREATE FUNCTION {0}.unequal(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
CREATE OPERATOR {0}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {0}.unequal);
CREATE OPERATOR {0}.< (LEFTARG = text, RIGHTARG = text, FUNCTION = {0}.unequal);
CREATE DOMAIN {0}.text AS pg_catalog.text CHECK (VALUE = 'hostile');
CREATE TABLE {0}._yoyo_migration (hostile integer);
CREATE TABLE {0}.yoyo_lock (hostile integer);
CREATE TABLE {0}.job (hostile integer);
CREATE TABLE {0}.pg_class (hostile integer);
CREATE TABLE {0}.pg_settings (hostile integer);
CREATE TABLE {0}.pg_proc (hostile integer);
GRANT ALL ON ALL TABLES IN SCHEMA {0} TO PUBLIC;
"""

_READ_ONLY = "read-only|read only|takes no updates"

#: Settings of a session: of a role, of a database, or of the server.
SESSION = (
    Cell("dates are German", {"DateStyle": "'German'"}),
    Cell("dates are SQL's, the day first", {"DateStyle": "'SQL, DMY'"}),
    Cell("dates are Postgres's", {"DateStyle": "'Postgres, DMY'"}),
    Cell("the year comes first", {"DateStyle": "'ISO, YMD'"}),
    Cell("intervals are SQL's", {"IntervalStyle": "'sql_standard'"}),
    Cell("intervals are ISO's", {"IntervalStyle": "'iso_8601'"}),
    Cell("intervals are verbose", {"IntervalStyle": "'postgres_verbose'"}),
    Cell("time zone of Kathmandu", {"TimeZone": "'Asia/Kathmandu'"}),
    Cell("time zone with summer time", {"TimeZone": "'Europe/Berlin'"}),
    Cell("time zone by its offset", {"TimeZone": "'<+0545>-05:45'"}),
    Cell("abbreviations of time zones", {"timezone_abbreviations": "'Australia'"}),
    Cell("Latin-1", {"client_encoding": "'LATIN1'"}),
    Cell("no encoding", {"client_encoding": "'SQL_ASCII'"}),
    Cell("Japanese encoding", {"client_encoding": "'EUC_JP'"}),
    Cell("Windows's encoding", {"client_encoding": "'WIN1252'"}),
    Cell(
        "serializable",
        {"default_transaction_isolation": "'serializable'"},
        differs={"doctor.*": "default_transaction_isolation"},
        reason="the doctor names it: behind a pooler the endpoint cannot set it",
    ),
    Cell(
        "repeatable read",
        {"default_transaction_isolation": "'repeatable read'"},
        differs={"doctor.*": "default_transaction_isolation"},
        reason="as above",
    ),
    Cell("read uncommitted", {"default_transaction_isolation": "'read uncommitted'"}),
    Cell(
        "deferrable and serializable",
        {"default_transaction_deferrable": "on", "default_transaction_isolation": "'serializable'"},
        differs={"doctor.*": "default_transaction_isolation"},
        reason="as above",
    ),
    Cell(
        "read only",
        {"default_transaction_read_only": "on"},
        differs={
            "migrate.*|rollback.*|token (?!list).*|GET /readyz": _READ_ONLY,
            "POST .*": f"{_READ_ONLY}|^40[04]",
            "doctor": "read_only",
            ".*": "",
        },
        reason="who made a database read-only wants no updates; the rest differs because nothing is written",
        spoils=True,
    ),
    Cell(
        "statements end soon",
        {"statement_timeout": "'10s'"},
        differs={"doctor.*": "The database is what the files say|fsync"},
        reason="the doctor advises to set one where there is none",
    ),
    Cell("locks are not waited for", {"lock_timeout": "'1ms'"}),
    Cell("idle transactions end soon", {"idle_in_transaction_session_timeout": "'30ms'"}),
    Cell("idle sessions end soon", {"idle_session_timeout": "'100ms'"}),
    # Longer than it takes to connect on a busy machine: before that nothing can be set.
    Cell("transactions end soon", {"transaction_timeout": "'250ms'"}, since=17),
    Cell("no search path", {"search_path": "''"}),
    Cell("search path of nothing", {"search_path": "nowhere"}),
    Cell(
        "schema of the login's name",
        {"search_path": '"$user", public'},
        prepare=_HOSTILE.format("installer") + _HOSTILE.format("upkeep"),
    ),
    Cell("hostile search path", {"search_path": "hostile, pg_catalog, public"}, prepare=_HOSTILE.format("hostile")),
    Cell("our schema in the search path", {"search_path": "tallymark, public"}),
    Cell("temporary objects first", {"search_path": "pg_temp, public, pg_catalog"}),
    Cell("backslashes escape", {"standard_conforming_strings": "off"}),
    Cell(
        "backslashes escape, with warnings",
        {"standard_conforming_strings": "off", "escape_string_warning": "on", "backslash_quote": "on"},
    ),
    Cell("no backslash before a quote", {"backslash_quote": "off", "standard_conforming_strings": "off"}),
    Cell("floats of few digits", {"extra_float_digits": "-15"}),
    Cell("bytes as escapes", {"bytea_output": "'escape'"}),
    Cell("no nulls in arrays", {"array_nulls": "off"}),
    Cell("equal to null", {"transform_null_equals": "on"}),
    Cell("no row security", {"row_security": "off"}),
    Cell(
        "all names quoted",
        {"quote_all_identifiers": "on"},
        differs={"doctor.*": 'ROLE "upkeep"'},
        reason="the doctor's fixes quote names as the user's sessions do",
    ),
    Cell("German numbers", {"lc_numeric": "'C'", "lc_monetary": "'C'", "lc_time": "'C'"}),
    Cell("messages of another locale", {"lc_messages": "'C'"}),
    Cell("bodies are not checked", {"check_function_bodies": "off"}),
    Cell(
        "no fast plans",
        {
            f"enable_{name}": "off"
            for name in (
                "indexscan",
                "indexonlyscan",
                "bitmapscan",
                "hashjoin",
                "hashagg",
                "sort",
                "memoize",
                "material",
            )
        },
    ),
    Cell(
        "no nested loops, no sequential scans",
        {"enable_nestloop": "off", "enable_seqscan": "off", "enable_tidscan": "off"},
    ),
    Cell(
        "everything is compiled",
        {"jit": "on", "jit_above_cost": "0", "jit_inline_above_cost": "0", "jit_optimize_above_cost": "0"},
    ),
    Cell(
        "everything is parallel",
        {
            "parallel_setup_cost": "0",
            "parallel_tuple_cost": "0",
            "min_parallel_table_scan_size": "0",
            "min_parallel_index_scan_size": "0",
            "max_parallel_workers_per_gather": "4",
        },
    ),
    Cell("parallel by force", {"debug_parallel_query": "on"}, since=16),
    Cell("parallel by force, and checked", {"debug_parallel_query": "regress"}, since=16),
    Cell("generic plans", {"plan_cache_mode": "force_generic_plan"}),
    Cell("custom plans", {"plan_cache_mode": "force_custom_plan"}),
    Cell("joins as written", {"from_collapse_limit": "1", "join_collapse_limit": "1", "geqo_threshold": "2"}),
    Cell("constraints exclude", {"constraint_exclusion": "on"}),
    Cell("tablespaces", {"default_tablespace": "elsewhere", "temp_tablespaces": "elsewhere"}),
    Cell("table access method", {"default_table_access_method": "heap", "default_toast_compression": "pglz"}),
    Cell("large objects by anybody", {"lo_compat_privileges": "on"}),
    Cell("all messages", {"client_min_messages": "debug5", "log_min_messages": "debug1"}),
    Cell("only errors", {"client_min_messages": "error", "log_min_messages": "panic"}),
    Cell(
        "everything is logged",
        {"log_statement": "'all'", "log_duration": "on", "log_min_duration_statement": "0", "debug_print_plan": "on"},
    ),
    Cell("XML content", {"xmloption": "document", "xmlbinary": "hex"}),
    Cell("GIN's settings", {"gin_fuzzy_search_limit": "1", "gin_pending_list_limit": "64"}),
    Cell(
        "little memory",
        {"work_mem": "'64kB'", "maintenance_work_mem": "'1MB'", "temp_buffers": "100", "hash_mem_multiplier": "1"},
    ),
    Cell("small stack", {"max_stack_depth": "'100kB'"}),
    Cell("results a row at a time", {"cursor_tuple_fraction": "0"}),
    Cell(
        "no compression, no details", {"wal_compression": "on", "track_activities": "off", "track_functions": "'all'"}
    ),
    Cell("group commits", {"commit_delay": "1000", "commit_siblings": "0"}),
    Cell("commits that are safe here only", {"synchronous_commit": "local"}),
    Cell("a name of its own", {"application_name": "'日 ''x'' %s'"}),
    Cell("triggers as on a replica", {"session_replication_role": "replica"}),
    Cell("password encryption", {"password_encryption": "'md5'"}),
    Cell("names are not folded", {"datestyle": "'ISO, DMY'", "default_text_search_config": "'pg_catalog.german'"}),
    Cell("custom settings", {"tallymark.anything": "'x'", "app.user": "'日'"}),
    Cell("another role, with all rights", {"role": "operators"}, levels=("role", "database", "role in database")),
    Cell(
        "commits that are not safe",
        {"synchronous_commit": "off"},
        differs={"doctor.*": "synchronous_commit"},
        reason="the doctor names it, since a crash of the server can lose what was acknowledged",
    ),
)


@dataclass(frozen=True)
class Environment:
    """Variables of the environment.

    Attributes:
        name: What the test is called.
        variables: Their values; `{host}`, `{port}`, `{database}`, `{password}` and `{directory}` are filled in.
        url: The database's URL, if not the full one; what it leaves out is in the variables.
        files: Files that are made in `{directory}`, with their contents.
        apart: Whether each command is a process of its own: what is looked at only when a process starts.
        differs: As for a cell.
        reason: As for a cell.
    """

    name: str
    variables: Mapping[str, str]
    url: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    apart: bool = False
    differs: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


_ASCII = {"jobs|job show crawl(?!.*--json).*|token list": r"\?"}
_SERVICE = "[elsewhere]\nhost={host}\nport={port}\ndbname={database}\nuser=installer\npassword=p\n"

ENVIRONMENTS = (
    Environment("PGDATESTYLE", {"PGDATESTYLE": "German"}),
    Environment("PGTZ", {"PGTZ": "Asia/Kathmandu"}),
    Environment("PGCLIENTENCODING", {"PGCLIENTENCODING": "LATIN1"}),
    Environment("PGCLIENTENCODING Japanese", {"PGCLIENTENCODING": "EUC_JP"}),
    Environment("PGGEQO", {"PGGEQO": "off"}),
    Environment("PGOPTIONS", {"PGOPTIONS": "-c search_path=nowhere -c DateStyle=German -c statement_timeout=10s"}),
    Environment(
        "PGOPTIONS serializable",
        {"PGOPTIONS": "-c default_transaction_isolation=serializable"},
        differs={"doctor.*": "default_transaction_isolation"},
    ),
    Environment("PGOPTIONS strings", {"PGOPTIONS": "-c standard_conforming_strings=off -c client_encoding=LATIN1"}),
    Environment("PGAPPNAME", {"PGAPPNAME": "日 'x'"}),
    Environment("PGHOST of nobody", {"PGHOST": "nowhere.invalid", "PGPORT": "1"}),
    Environment("PGUSER of nobody", {"PGUSER": "nobody", "PGPASSWORD": "wrong", "PGDATABASE": "nowhere"}),
    Environment("PGPASSFILE that is missing", {"PGPASSFILE": "/nowhere/pgpass"}),
    Environment("PGCONNECT_TIMEOUT", {"PGCONNECT_TIMEOUT": "2"}),
    Environment("PGTARGETSESSIONATTRS", {"PGTARGETSESSIONATTRS": "read-write"}),
    Environment("PGTARGETSESSIONATTRS primary", {"PGTARGETSESSIONATTRS": "primary"}),
    Environment("PGGSSENCMODE", {"PGGSSENCMODE": "disable"}),
    Environment("PGCHANNELBINDING", {"PGCHANNELBINDING": "disable"}),
    Environment("PGSSLMODE disable", {"PGSSLMODE": "disable"}),
    Environment("PGSSLMODE prefer, certificates missing", {"PGSSLCERT": "/nowhere/c", "PGSSLROOTCERT": "/nowhere/r"}),
    Environment("PGLOADBALANCEHOSTS", {"PGLOADBALANCEHOSTS": "random"}),
    Environment("PGKRBSRVNAME", {"PGKRBSRVNAME": "x", "PGREQUIREPEER": "nobody", "PGSSLCOMPRESSION": "0"}),
    Environment("PGLOCALEDIR", {"PGLOCALEDIR": "/nowhere", "LANGUAGE": "de"}),
    Environment(
        "all of it in PG variables",
        {"PGHOST": "{host}", "PGPORT": "{port}", "PGUSER": "installer", "PGPASSWORD": "p", "PGDATABASE": "{database}"},
        url="postgresql://",
    ),
    Environment(
        "the database in PGDATABASE", {"PGDATABASE": "{database}"}, url="postgresql://installer:p@{host}:{port}"
    ),
    Environment(
        "the password in PGPASSFILE",
        {"PGPASSFILE": "{directory}/pgpass"},
        url="postgresql://installer@{host}:{port}/{database}",
        files={"pgpass": "*:*:*:installer:p\n"},
    ),
    Environment(
        "a service in the URL",
        {"PGSERVICEFILE": "{directory}/services"},
        url="postgresql://?service=elsewhere",
        files={"services": _SERVICE},
    ),
    Environment(
        "a service in PGSERVICE",
        {"PGSERVICEFILE": "{directory}/services", "PGSERVICE": "elsewhere"},
        url="postgresql://",
        files={"services": _SERVICE},
    ),
    Environment(
        "another service in PGSERVICE",
        {"PGSERVICEFILE": "{directory}/services", "PGSERVICE": "elsewhere"},
        files={"services": "[elsewhere]\ndbname=nowhere\nuser=nobody\noptions=-c DateStyle=German\n"},
    ),
    Environment(
        "a service without the password",
        {"PGSYSCONFDIR": "{directory}", "PGSERVICE": "elsewhere", "PGPASSWORD": "p"},
        url="postgresql://",
        files={"pg_service.conf": _SERVICE.replace("password=p\n", "")},
    ),
    Environment("TZ", {"TZ": "Asia/Kathmandu"}),
    Environment("TZ with summer time", {"TZ": "Europe/Berlin"}, apart=True),
    Environment("LC_ALL=C", {"LC_ALL": "C"}, apart=True),
    Environment(
        "LC_ALL=C, and no UTF-8 mode",
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        apart=True,
        differs=_ASCII,
        reason="a terminal that lacks letters shows a question mark; JSON has them all",
    ),
    Environment("LC_ALL=POSIX", {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, apart=True, differs=_ASCII, reason="as above"),
    Environment("LANG=de_DE", {"LANG": "de_DE.ISO-8859-1", "LC_ALL": "", "PYTHONUTF8": "0"}, apart=True),
    Environment("ASCII streams", {"PYTHONIOENCODING": "ascii"}, apart=True, differs=_ASCII, reason="as above"),
    # PGSSLMODE=require is obeyed where the URL leaves sslmode out, and this server has no TLS. The embedded server's
    # address has it: see tests/server/test_environment.py.
)
