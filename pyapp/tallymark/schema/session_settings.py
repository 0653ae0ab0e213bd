"""Settings with which an acknowledged update can be lost or an update cannot be taken, for whomever they were made.

A setting counts for a session by the user that logs in. So the users that write are looked at one by one, and where
their settings were made: for the user, the database, or both. The server's own settings count for all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from tallymark.schema.comparison import Finding
from tallymark.schema.setting_places import Place, places

Connection = psycopg.Connection[dict[str, Any]]

_RELOAD = "SELECT pg_reload_conf();"


def _is_off(value: str) -> bool:
    """Read a value as PostgreSQL does, which also takes the beginning of a word."""
    value = value.lower()
    return value in {"0", "of", "off"} or (value != "" and ("false".startswith(value) or "no".startswith(value)))


def _is_on(value: str) -> bool:
    return not _is_off(value)


def _is_not_read_committed(value: str) -> bool:
    return value.lower() not in {"read committed", "read uncommitted"}


@dataclass(frozen=True)
class _Rule:
    """What is wrong with a value, what happens then, and which value is right."""

    is_wrong: Callable[[str], bool]
    problem: str
    right: str


_FORGETFUL = "a crash of the server can lose acknowledged updates"
_RULES = {
    "fsync": _Rule(_is_off, "a power failure can lose acknowledged updates, or the whole database", "on"),
    "full_page_writes": _Rule(_is_off, "a page that was half written in a power failure cannot be repaired", "on"),
    "synchronous_commit": _Rule(_is_off, _FORGETFUL, "on"),
    "data_sync_retry": _Rule(
        _is_on, "the server goes on after a failed write to disk, which can lose acknowledged updates", "off"
    ),
    "zero_damaged_pages": _Rule(
        _is_on, "the server replaces damaged pages by empty ones, with all updates in them", "off"
    ),
    "ignore_checksum_failure": _Rule(_is_on, "the server reads damaged pages as if they were whole", "off"),
    "autovacuum": _Rule(
        _is_off,
        "nothing removes old row versions: the tables grow and get slower, and in the end the server stops",
        "on",
    ),
    "track_counts": _Rule(_is_off, "autovacuum cannot tell what to do without these counts", "on"),
    "default_transaction_read_only": _Rule(_is_on, "the database takes no updates", "off"),
    "default_transaction_isolation": _Rule(
        _is_not_read_committed,
        "most updates of a busy job fail, in SQL and behind a pooler, where the endpoint cannot set it",
        "read committed",
    ),
}

#: The users whose settings count: those with a role of ours, who asks, and those that an endpoint logs in as. What
#: other superusers set for themselves, to look after the server, is their own affair.
_USERS = """
SELECT u.rolname AS name, EXISTS (
    SELECT FROM pg_roles AS r WHERE r.rolname IN ('tallymark_writer', 'tallymark_admin', 'tallymark_owner')
      AND pg_has_role(u.oid, r.oid, 'MEMBER'))
  OR NOT EXISTS (
    SELECT FROM pg_roles AS r WHERE r.rolname = 'tallymark_reader' AND pg_has_role(u.oid, r.oid, 'MEMBER')) AS writes
FROM pg_roles AS u WHERE u.rolcanlogin AND (
  u.rolname = session_user
  OR NOT u.rolsuper AND EXISTS (SELECT FROM pg_roles AS r
    WHERE r.rolname ~ '^tallymark_(owner|writer|reader|admin)$' AND pg_has_role(u.oid, r.oid, 'MEMBER'))
  OR EXISTS (SELECT FROM pg_stat_activity AS a
    WHERE a.usesysid = u.oid AND a.application_name = 'tallymark' AND a.datname = current_database()))
"""


def wrong_value(name: str, value: str) -> tuple[str, str] | None:
    """Return what is wrong with a server's own setting and which value is right, or None where it breaks no promise."""
    rule = _RULES.get(name)
    return (rule.problem, rule.right) if rule is not None and rule.is_wrong(value) else None


def wrong_settings(connection: Connection) -> Iterator[Finding]:
    """Find settings of the server, the database and its users that break a promise, each where it was made."""
    users = {row["name"]: bool(row["writes"]) for row in connection.execute(_USERS)}
    us = connection.info.user
    query = "SELECT name, reset_val AS value, context, source FROM pg_settings WHERE name = ANY (%s)"
    settings = {row["name"]: row for row in connection.execute(query, [list(_RULES)])}
    for name, rule in _RULES.items():
        if name not in settings:
            continue  # this version does not have it
        concerned = {user for user, writes in users.items() if writes}
        made = places(connection, name)
        for place in made:
            if rule.is_wrong(place.value) and _counts(place, made, concerned, rule):
                whose = name if place.role in {None, us} else f"{name} of ROLE {place.role}"
                yield Finding("setting", whose, rule.problem, rule.right, place.value, place.reset)
        # In our own session, a setting of the user or the database hides that of the server.
        value = settings[name]["value"]
        if us in concerned and rule.is_wrong(value) and not any(place.role in {None, us} for place in made):
            yield Finding("setting", name, rule.problem, rule.right, value, _fix(connection, rule, settings[name]))


def _counts(place: Place, made: list[Place], users: set[str], rule: _Rule) -> bool:
    """Whether a wrong setting counts for one of the users: where no right one overrides it."""
    return any(
        not any(
            other.overrides(place) and other.role in {None, user} and not rule.is_wrong(other.value) for other in made
        )
        for user in users
        if place.role in {None, user}
    )


def _fix(connection: Connection, rule: _Rule, setting: dict[str, Any]) -> str:
    """The cure where neither a user nor the database has the setting: it is the server's, or our client's."""
    name = setting["name"]
    if setting["source"] == "client" or name in connection.info.options:
        return f"remove {name} from the URL's options, or from PGOPTIONS"
    change = f"ALTER SYSTEM SET {name} = {rule.right if rule.right.isalpha() else repr(rule.right)};"
    return f"{change} then restart the server" if setting["context"] == "postmaster" else f"{change} {_RELOAD}"
