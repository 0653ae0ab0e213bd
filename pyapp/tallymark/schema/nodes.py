"""Compares the nodes of a distributed database with its coordinator, and checks their settings."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from tallymark.schema.catalogue import Catalogue, Entry
from tallymark.schema.cluster import DELEGATED, READ_BY_VIEWS, READERS, ROLES, Node, ask_all
from tallymark.schema.comparison import Finding
from tallymark.schema.kept_plans import CUSTOM, KEEPS, PLANS_EACH, SETTING, keeping_plans
from tallymark.schema.session_settings import wrong_value

Connection = psycopg.Connection[Any]

AGAIN = "tallymark distribute"


def _grants(acl: str, kind: str, owner: str) -> str:
    """SQL for an access list as a sorted JSON array of `PRIVILEGE for role`; a null list means the built-in default."""
    return f"""(SELECT coalesce(jsonb_agg(DISTINCT privilege_type || ' for '
      || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END), '[]')
      FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))))"""  # noqa: S608 - made of constants


#: All that is compared of a node, as one JSON document. A shard is a table of its own, with rights of its own.
STATE = f"""
SELECT jsonb_build_object(
  'function', (SELECT coalesce(jsonb_object_agg(p.oid::regprocedure::text, jsonb_build_object(
      'body', md5(p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), '')),
      'settings', p.proconfig, 'security definer', p.prosecdef, 'strict', p.proisstrict,
      'owner', pg_get_userbyid(p.proowner), 'grants', {_grants("p.proacl", "f", "p.proowner")})), '{{}}')
    FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace('tallymark')),
  'relation', (SELECT coalesce(jsonb_object_agg(c.oid::regclass::text, jsonb_build_object(
      'owner', pg_get_userbyid(c.relowner), 'grants', {_grants("c.relacl", "r", "c.relowner")})), '{{}}')
    FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('tallymark') AND c.relkind IN ('r', 'v')
      AND NOT EXISTS (SELECT FROM pg_dist_shard AS s
        WHERE c.oid = to_regclass(s.logicalrelid::text || '_' || s.shardid))),
  'shard', (SELECT coalesce(jsonb_object_agg(c.oid::regclass::text, jsonb_build_object(
      'of', s.logicalrelid::text, 'owner', pg_get_userbyid(c.relowner),
      'grants', {_grants("c.relacl", "r", "c.relowner")})), '{{}}')
    FROM pg_dist_shard AS s JOIN pg_class AS c ON c.oid = to_regclass(s.logicalrelid::text || '_' || s.shardid)
    WHERE c.relnamespace = to_regnamespace('tallymark')),
  'schema', (SELECT jsonb_object_agg(n.nspname, jsonb_build_object(
      'owner', pg_get_userbyid(n.nspowner), 'grants', {_grants("n.nspacl", "n", "n.nspowner")}))
    FROM pg_namespace AS n WHERE n.nspname = 'tallymark'),
  'role', (SELECT coalesce(jsonb_object_agg(r.rolname, jsonb_build_object(
      'LOGIN', r.rolcanlogin, 'SUPERUSER', r.rolsuper, 'BYPASSRLS', r.rolbypassrls, 'CREATEROLE', r.rolcreaterole,
      'member of', (SELECT coalesce(jsonb_agg(DISTINCT pg_get_userbyid(m.roleid)), '[]')
        FROM pg_auth_members AS m WHERE m.member = r.oid))), '{{}}')
    FROM pg_roles AS r WHERE EXISTS (SELECT FROM pg_roles AS o
      WHERE o.rolname ~ '^tallymark_(owner|writer|reader|admin)$' AND pg_has_role(r.oid, o.oid, 'MEMBER'))
      AND NOT r.rolsuper
      -- Citus makes a role for each move of a shard, and drops it with its subscription.
      AND NOT EXISTS (SELECT FROM pg_subscription AS m WHERE m.subowner = r.oid
        AND r.rolname ~ '^citus_shard_(move|split)_subscription_role_')),
  'settings', (SELECT jsonb_object_agg(s.name, s.reset_val) FROM pg_settings AS s),
  'waits', NOT EXISTS (SELECT FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c (setting)
    WHERE s.setdatabase = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
      AND s.setrole = to_regrole('tallymark_owner')
      AND c.setting LIKE 'lock_timeout=%' AND c.setting <> 'lock_timeout=0'),
  'plans each', {PLANS_EACH},
  'citus', (SELECT extversion FROM pg_extension WHERE extname = 'citus'),
  'closed', EXISTS (SELECT FROM pg_default_acl AS d
    WHERE d.defaclnamespace = 0 AND d.defaclobjtype = 'f'
      AND d.defaclrole = (SELECT extowner FROM pg_extension WHERE extname = 'citus')
      AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) WHERE grantee = 0))
)::text
"""  # noqa: S608 - made of constants

#: Tables that are not where they should be; `expected` is how they should be distributed.
_PLACES = """
WITH wanted AS (
  SELECT c.oid, c.oid::regclass::text AS name,
    CASE WHEN c.relname = 'job' THEN 'id' ELSE a.attname::text END AS by
  FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'job_id' AND NOT a.attisdropped
  WHERE c.relnamespace = 'tallymark'::regnamespace AND c.relkind = 'r')
SELECT w.name, CASE WHEN w.by IS NULL THEN 'a reference table' ELSE 'by ' || w.by || ', beside the jobs' END,
  CASE WHEN p.logicalrelid IS NULL THEN 'on the coordinator alone'
    WHEN p.partmethod = 'n' THEN CASE WHEN p.repmodel = 't' THEN 'a reference table' ELSE 'on one node' END
    ELSE 'by ' || pg_catalog.column_to_column_name(p.logicalrelid, p.partkey)
      || CASE WHEN p.colocationid = j.colocationid THEN ', beside the jobs' ELSE ', elsewhere than the jobs' END END
FROM wanted AS w CROSS JOIN pg_catalog.pg_dist_partition AS j
  LEFT JOIN pg_catalog.pg_dist_partition AS p ON p.logicalrelid = w.oid
WHERE j.logicalrelid = 'tallymark.job'::regclass ORDER BY 1
"""
#: Functions of ours that no node has from Citus, and those that run on the node of their job.
_FUNCTIONS = """
SELECT p.oid::regprocedure::text, p.proname, p.proisstrict AND NOT p.proretset, o.objid IS NOT NULL,
  o.distribution_argument_index IS NOT NULL, o.colocationid IS NOT DISTINCT FROM j.colocationid
FROM pg_catalog.pg_proc AS p CROSS JOIN pg_catalog.pg_dist_partition AS j
  LEFT JOIN pg_catalog.pg_dist_object AS o ON o.classid = 'pg_proc'::regclass AND o.objid = p.oid
WHERE p.pronamespace = 'tallymark'::regnamespace AND j.logicalrelid = 'tallymark.job'::regclass ORDER BY 1
"""
_UNSYNCED = """
SELECT nodename || ':' || nodeport FROM pg_catalog.pg_dist_node
WHERE noderole = 'primary' AND NOT (isactive AND hasmetadata AND metadatasynced) ORDER BY 1
"""


def as_distributed(reference: Catalogue) -> Catalogue:
    """Return what the files give where they are distributed.

    Functions that run on the node of their job are STRICT, and readers may read the tables behind the views.
    """
    entries = dict(reference.entries)
    for (kind, name), entry in reference.entries.items():
        changed: dict[str, Any] = {}
        if kind == "function" and name.partition("(")[0].removeprefix("tallymark.") in DELEGATED:
            changed = {"strict": True}
        elif kind == "table" and name in READ_BY_VIEWS:
            changed = {"grants": sorted({*entry.aspects["grants"], *(f"SELECT for {reader}" for reader in READERS)})}
        entries[kind, name] = Entry(entry.parent, entry.aspects | changed)
    return Catalogue(reference.server, entries)


def examine_nodes(connection: Connection) -> list[Finding]:
    """List what is wrong with the nodes of a distributed database; the connection is to its coordinator."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        places = cursor.execute(_PLACES).fetchall()
        functions = cursor.execute(_FUNCTIONS).fetchall()
        unsynced = [name for (name,) in cursor.execute(_UNSYNCED)]
    findings = [
        Finding("table", name, "is not where it should be", wanted, found, AGAIN)
        for name, wanted, found in places
        if wanted != found
    ]
    findings += _delegation(functions)
    states: dict[Node, Any] = {}
    for answer in ask_all(connection, STATE):
        if answer.succeeded:
            states[answer.node] = json.loads(answer.result)
        else:
            fix = "start it, let pg_hba.conf and .pgpass of the coordinator admit its user, and check again"
            findings.append(Finding("node", str(answer.node), "cannot be asked", "", answer.result, fix))
    for name in unsynced:
        fix = "start it, then SELECT start_metadata_sync_to_all_nodes();"
        findings.append(Finding("node", name, "does not have what the coordinator knows", "", "", fix))
    findings += [
        Finding("setting", SETTING, f"on node {node}: {KEEPS.format(size=size)}", CUSTOM, "", AGAIN)
        for node, size in keeping_plans(connection).items()
        if node in states and not states[node]["plans each"]
    ]
    coordinator = next((state for node, state in states.items() if node.group == 0), None)
    for node, state in states.items():
        findings += _of_one(node, state, coordinator)
    return findings


def _delegation(functions: list[tuple[Any, ...]]) -> Iterator[Finding]:
    """Functions that Citus does not know, and those that should, or should not, run on the node of their job."""
    for signature, name, is_safe, is_known, is_delegated, is_beside in functions:
        if not is_known:
            yield Finding("function", signature, "is on the coordinator alone", "", "", AGAIN)
        elif is_delegated and (name not in DELEGATED or not is_safe):
            problem = "runs on the node of its job, where a call with NULL crashes the coordinator"
            yield Finding("function", signature, problem, "", "", AGAIN)
        elif name in DELEGATED and not (is_delegated and is_beside):
            yield Finding("function", signature, "does not run on the node of its job", "", "", AGAIN)


def _of_one(node: Node, state: dict[str, Any], coordinator: dict[str, Any] | None) -> Iterator[Finding]:
    """What is wrong with one node, which is compared with the coordinator where that has answered."""
    for kind in ("schema", "function", "relation", "shard"):
        for name, item in (state[kind] or {}).items():
            if open_to := [grant for grant in item["grants"] if grant.endswith(" for PUBLIC")]:
                yield Finding(kind, name, f"is for everybody on node {node}", "", ", ".join(open_to), AGAIN)
    if not state["closed"]:
        close = "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"
        fix = f"{AGAIN}; on the next new node, before citus_add_node: {close}"
        yield Finding("node", str(node), "functions that arrive there are for everybody", "", "", fix)
    if state["waits"]:
        problem = (
            f"has no limit on node {node}: one held job may keep calls of the coordinator waiting for all of theirs"
        )
        yield Finding("setting", "lock_timeout of tallymark_owner", problem, "", "", AGAIN)
    for role in ROLES:
        if not state["role"].get(role, {}).get("LOGIN"):
            yield Finding(
                "role", role, f"may not log in on node {node}, which the other nodes need", "LOGIN", "", AGAIN
            )
    if coordinator is not None and state is not coordinator:
        yield from _differences(node, state, coordinator)
    yield from wrong_settings_of(node, state["settings"])


def _differences(node: Node, state: dict[str, Any], coordinator: dict[str, Any]) -> Iterator[Finding]:
    """What a node has otherwise than the coordinator."""
    for kind in ("schema", "function", "relation", "role"):
        here, there = coordinator[kind] or {}, state[kind] or {}
        for name in sorted(here.keys() - there.keys()):
            yield Finding(kind, name, f"is missing on node {node}", "", "", AGAIN)
        for name in sorted(there.keys() - here.keys()):
            yield Finding(kind, name, f"is on node {node} and not on the coordinator", "", "", f"drop it on {node}")
        for name in sorted(here.keys() & there.keys()):
            yield from _aspects(kind, name, node, here[name], there[name])
    for name, item in sorted(state["shard"].items()):
        yield from _aspects("shard", name, node, coordinator["relation"].get(item["of"], {}), item)
    if state["citus"] != coordinator["citus"]:
        fix = "ALTER EXTENSION citus UPDATE; on every node"
        yield Finding("node", str(node), "has another version of Citus", coordinator["citus"], state["citus"], fix)


def _aspects(kind: str, name: str, node: Node, expected: dict[str, Any], found: dict[str, Any]) -> Iterator[Finding]:
    for aspect, wanted in expected.items():
        actual = found[aspect]
        if wanted == actual:
            continue
        if isinstance(wanted, list) and isinstance(actual, list):
            missing = ", ".join(str(value) for value in wanted if value not in actual)
            surplus = [str(value) for value in actual if value not in wanted]
            fix = AGAIN
            if aspect == "grants":
                revokes = _revokes({"relation": "TABLE", "shard": "TABLE"}.get(kind, kind.upper()), name, surplus)
                fix = f"on {node}: SET citus.enable_ddl_propagation = off; {revokes}" if revokes else AGAIN
            yield Finding(kind, name, f"{aspect} differ on node {node}", missing, ", ".join(surplus), fix)
        else:
            yield Finding(kind, name, f"{aspect} differs on node {node}", str(wanted), str(actual), AGAIN)


def _revokes(kind: str, name: str, surplus: list[str]) -> str:
    """The statements that take away privileges, which are given as `PRIVILEGE for role`."""
    by_role: dict[str, list[str]] = {}
    for privilege, _, role in (grant.partition(" for ") for grant in surplus):
        by_role.setdefault(role, []).append(privilege)
    return " ".join(f"REVOKE {', '.join(some)} ON {kind} {name} FROM {role};" for role, some in by_role.items())


def wrong_settings_of(node: Node, values: dict[str, str]) -> Iterator[Finding]:
    """Settings with which a node loses updates, holds rows for long, or cannot take part."""
    restart = f"on {node}: ALTER SYSTEM SET {{}} = {{}}; then restart it"
    reload = f"on {node}: ALTER SYSTEM SET {{}} = {{}}; SELECT pg_reload_conf();"
    name = "citus.recover_2pc_interval"
    seconds = int(values.get(name, "60000")) / 1000
    if not 0 < seconds <= 10:  # noqa: PLR2004 - said in the finding
        problem = f"on node {node}: what a killed node has prepared holds its rows for that long"
        yield Finding("setting", name, problem, "at most 10s", f"{seconds:g}s", reload.format(name, "'5s'"))
    name = "max_prepared_transactions"
    if int(values[name]) < int(values["max_connections"]):
        problem = f"on node {node}: each connection may prepare a transaction"
        wanted = values["max_connections"]
        yield Finding("setting", name, problem, f"at least {wanted}", values[name], restart.format(name, wanted))
    name = "wal_level"
    if values[name] != "logical":
        problem = f"on node {node}: shards cannot be moved while they are written to"
        yield Finding("setting", name, problem, "logical", values[name], restart.format(name, "logical"))
    if node.group:  # the coordinator's own are the doctor's
        for name, value in values.items():
            if wrong := wrong_value(name, value):
                problem, right = wrong
                yield Finding("setting", name, f"on node {node}: {problem}", right, value, reload.format(name, right))
