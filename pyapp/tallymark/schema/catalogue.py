"""Reads everything that the installed schema consists of from PostgreSQL's catalogue, in a form that can be compared.

There is one query per kind of object. Each gives `(kind, name, parent, aspects)`: `name` is the object's signature,
`parent` the signature of the table or constraint it belongs to (null for the rest), `aspects` a JSON object of what can
differ. Aspects that are lists (grants, settings) are compared member by member.
"""

# ruff: noqa: S608 - the queries are put together from the constants and column names below, nothing comes from outside

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import psycopg

#: The rights that the roles of the migrations must have. Roles belong to the whole server, so a scratch database on it
#: cannot show what they should be.
ROLE_ASPECTS = {
    "attributes": ["NOBYPASSRLS", "NOCREATEDB", "NOCREATEROLE", "NOLOGIN", "NOREPLICATION", "NOSUPERUSER"],
    "member of": [],
}
#: Nodes of a distributed database log in to each other as these roles.
DISTRIBUTED_ROLE_ASPECTS = {
    **ROLE_ASPECTS,
    "attributes": ["NOBYPASSRLS", "NOCREATEDB", "NOCREATEROLE", "LOGIN", "NOREPLICATION", "NOSUPERUSER"],
}

Key = tuple[str, str]


@dataclass(frozen=True)
class Entry:
    """One object of the catalogue: what it belongs to, and what can differ, by name."""

    parent: str | None
    aspects: dict[str, Any]


@dataclass(frozen=True)
class Catalogue:
    """All objects of the schema `tallymark` in one database, by kind and signature; with the server's major version."""

    server: int
    entries: dict[Key, Entry] = field(default_factory=dict)


def read_catalogue(connection: psycopg.Connection[Any]) -> Catalogue:
    """Read the catalogue of a database in one snapshot; it has no entries if the schema is not there.

    The connection must be outside a transaction. It needs no privileges beyond the default ones.
    """
    catalogue = Catalogue(server=connection.info.server_version // 10000)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # With an empty path PostgreSQL qualifies every name that it prints.
        connection.execute("SET LOCAL search_path = ''")
        for query in QUERIES:
            for kind, name, parent, aspects in sorted(connection.execute(query), key=itemgetter(1)):
                catalogue.entries[kind, name] = Entry(parent, aspects)
    return catalogue


def _grants(acl: str, kind: str, owner: str) -> str:
    """SQL for an access list as a sorted JSON array of `PRIVILEGE for role`; a null list means the built-in default.

    The owner is not named, so that a changed owner is one finding and not two.
    """
    return f"""(SELECT coalesce(jsonb_agg(DISTINCT privilege_type || ' for '
      || CASE grantee WHEN 0 THEN 'PUBLIC' WHEN {owner} THEN 'its owner' ELSE quote_ident(pg_get_userbyid(grantee)) END
      || CASE WHEN is_grantable THEN ' with grant option' ELSE '' END), '[]')
      FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))))"""


def _settings(options: str) -> str:
    """SQL for an array of `name=value` as a sorted JSON array."""
    return f"(SELECT coalesce(jsonb_agg(o ORDER BY o), '[]') FROM unnest({options}) AS o)"


def _options(options: str) -> str:
    """SQL for the options of a table or a column, as above, without those that the server keeps there for itself.

    No option that users may set begins with `pg_`. PostgreSQL 15.20 has `pg_attver` on each column, with a number that
    differs from one column to the next.
    """
    return (
        f"(SELECT coalesce(jsonb_agg(o ORDER BY o), '[]') FROM unnest({options}) AS o WHERE NOT starts_with(o, 'pg_'))"
    )


SCHEMA = f"""
SELECT 'schema', nspname, NULL, jsonb_build_object(
  'owner', pg_get_userbyid(nspowner),
  'comment', obj_description(oid, 'pg_namespace'),
  'grants', {_grants("nspacl", "n", "nspowner")})
FROM pg_namespace WHERE nspname = 'tallymark'
"""

FUNCTIONS = f"""
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
  format('tallymark.%I(%s)', p.proname,
    (SELECT string_agg(format_type(t, NULL), ', ' ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n))),
  NULL, jsonb_build_object(
  'arguments', pg_get_function_arguments(p.oid),
  'result', pg_get_function_result(p.oid),
  'body', p.prosrc,
  'standard body', pg_get_function_sqlbody(p.oid),
  'language', l.lanname,
  'volatility', CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
  'strict', p.proisstrict,
  'security definer', p.prosecdef,
  'leakproof', p.proleakproof,
  'parallel', CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END,
  'window', p.prokind = 'w',
  'cost', p.procost,
  'rows', p.prorows,
  'planner support', p.prosupport::text,
  'aggregate', to_jsonb(a) - 'aggfnoid',
  'settings', {_settings("p.proconfig")},
  'owner', pg_get_userbyid(p.proowner),
  'comment', obj_description(p.oid, 'pg_proc'),
  'grants', {_grants("p.proacl", "f", "p.proowner")})
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang LEFT JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
WHERE p.pronamespace = to_regnamespace('tallymark')
"""

RELATIONS = f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
    WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'composite type' ELSE 'table' END,
  format('tallymark.%I', c.relname), NULL, jsonb_build_object(
  'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
  'sequence', (SELECT to_jsonb(s) - 'seqrelid' FROM pg_sequence AS s WHERE s.seqrelid = c.oid),
  'options', {_options("c.reloptions")},
  'persistence', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' WHEN 't' THEN 'TEMPORARY' ELSE 'LOGGED' END,
  'partitioned by', pg_get_partkeydef(c.oid),
  'partition bound', pg_get_expr(c.relpartbound, c.oid),
  'replica identity', c.relreplident::text,
  'row security', c.relrowsecurity,
  'forced row security', c.relforcerowsecurity,
  'owner', pg_get_userbyid(c.relowner),
  'comment', obj_description(c.oid, 'pg_class'),
  'grants', CASE WHEN c.relkind = 'S' THEN {_grants("c.relacl", "s", "c.relowner")}
    ELSE {_grants("c.relacl", "r", "c.relowner")} END)
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace('tallymark') AND c.relkind NOT IN ('i', 'I', 't')
"""

COLUMNS = f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view column' ELSE 'column' END,
  format('tallymark.%I.%I', c.relname, a.attname), format('tallymark.%I', c.relname),
  jsonb_build_object(
  'type', format_type(a.atttypid, a.atttypmod),
  'not null', a.attnotnull,
  'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  'identity', nullif(a.attidentity::text, ''),
  'collation', (SELECT format('%I.%I', n.nspname, l.collname) FROM pg_collation AS l
    JOIN pg_namespace AS n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation),
  'storage', a.attstorage::text,
  'compression', nullif(a.attcompression::text, ''),
  'options', {_options("a.attoptions")},
  'comment', col_description(c.oid, a.attnum),
  'grants', {_grants("a.attacl", "c", "c.relowner")})
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = to_regnamespace('tallymark') AND c.relkind NOT IN ('i', 'I', 't', 'S')
  AND a.attnum > 0 AND NOT a.attisdropped
"""

# PostgreSQL 18 lists NOT NULL among the constraints; the columns have that already, in every version.
CONSTRAINTS = """
SELECT 'constraint', format('tallymark.%I.%I', coalesce(c.relname, t.typname), k.conname),
  format('tallymark.%I', coalesce(c.relname, t.typname)), jsonb_build_object(
  'definition', pg_get_constraintdef(k.oid),
  'validated', k.convalidated,
  'comment', obj_description(k.oid, 'pg_constraint'))
FROM pg_constraint AS k LEFT JOIN pg_class AS c ON c.oid = k.conrelid
  LEFT JOIN pg_type AS t ON t.oid = k.contypid
WHERE k.connamespace = to_regnamespace('tallymark') AND k.contype NOT IN ('n', 't')
"""

# An index that a constraint made belongs to the constraint.
INDEXES = """
SELECT 'index', format('tallymark.%I', i.relname),
  format('tallymark.%I', t.relname) || CASE WHEN k.oid IS NULL THEN '' ELSE format('.%I', k.conname) END,
  jsonb_build_object(
  'definition', pg_get_indexdef(x.indexrelid),
  'valid', x.indisvalid AND x.indisready AND x.indislive,
  'comment', obj_description(i.oid, 'pg_class'))
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
  LEFT JOIN pg_constraint AS k ON k.conindid = x.indexrelid AND k.conrelid = x.indrelid
WHERE t.relnamespace = to_regnamespace('tallymark') AND t.relkind IN ('r', 'p', 'm')
"""

TRIGGERS = """
SELECT 'trigger', format('tallymark.%I.%I', c.relname, t.tgname), format('tallymark.%I', c.relname),
  jsonb_build_object('definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled::text)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = to_regnamespace('tallymark') AND NOT t.tgisinternal
"""

RULES = """
SELECT 'rule', format('tallymark.%I.%I', c.relname, r.rulename), format('tallymark.%I', c.relname),
  jsonb_build_object('definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled::text)
FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
WHERE c.relnamespace = to_regnamespace('tallymark') AND r.rulename <> '_RETURN'
"""

POLICIES = """
SELECT 'policy', format('tallymark.%I.%I', c.relname, p.polname), format('tallymark.%I', c.relname),
  jsonb_build_object('command', p.polcmd::text, 'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
WHERE c.relnamespace = to_regnamespace('tallymark')
"""

TYPES = f"""
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, format('tallymark.%I', t.typname), NULL,
  jsonb_build_object(
  'base', CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END,
  'not null', t.typnotnull,
  'default', t.typdefault,
  'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid),
  'owner', pg_get_userbyid(t.typowner),
  'comment', obj_description(t.oid, 'pg_type'),
  'grants', {_grants("t.typacl", "T", "t.typowner")})
FROM pg_type AS t
WHERE t.typnamespace = to_regnamespace('tallymark') AND t.typtype IN ('d', 'e', 'r')
"""

DEFAULT_PRIVILEGES = f"""
SELECT 'default privileges', format('tallymark: %s of %s', d.defaclobjtype, pg_get_userbyid(d.defaclrole)), NULL,
  jsonb_build_object('grants', {_grants("d.defaclacl", "r", "d.defaclrole")})
FROM pg_default_acl AS d WHERE d.defaclnamespace = to_regnamespace('tallymark')
"""

# Whatever else a schema can contain: operators, collations, statistics, text search, ...
OTHERS = """
SELECT o.type, o.identity, NULL, '{}'::jsonb
FROM pg_depend AS d, pg_identify_object(d.classid, d.objid, d.objsubid) AS o
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = to_regnamespace('tallymark') AND d.deptype = 'n'
  AND d.classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass,
    'pg_default_acl'::regclass)
"""

ROLES = r"""
SELECT 'role', r.rolname, NULL, jsonb_build_object(
  'attributes', jsonb_build_array(
    CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END,
    CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
    CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
    CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
    CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
    CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END),
  'member of', (SELECT coalesce(jsonb_agg(DISTINCT pg_get_userbyid(m.roleid)), '[]')
    FROM pg_auth_members AS m WHERE m.member = r.oid))
FROM pg_roles AS r WHERE r.rolname ~ '^tallymark_(owner|writer|reader|admin)$'
"""

QUERIES = (
    *(SCHEMA, ROLES, RELATIONS, COLUMNS, CONSTRAINTS, INDEXES, TRIGGERS, RULES, POLICIES, TYPES),
    *(DEFAULT_PRIVILEGES, FUNCTIONS, OTHERS),
)
