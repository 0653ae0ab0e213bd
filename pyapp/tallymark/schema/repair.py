"""Writes the statement that mends what the doctor has found."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from tallymark.schema.catalogue import Entry

#: What every `tallymark migrate` installs anew.
REINSTALLED = ("function", "procedure", "aggregate", "view")


def bare_name(name: str) -> str:
    """Give the last part of a signature, without schema, table and arguments.

    Args:
        name: for example `tallymark.job.status` or `tallymark.merge_progress(text, jsonb)`.

    Returns:
        For example `status` or `merge_progress`.
    """
    return name.partition("(")[0].rsplit(".", 1)[-1].strip('"')


class Repair:
    """Writes the statements that mend an object.

    `entry` is the object as it should be (as it is, for one that is in no file); `missing` and `surplus` are the
    members that a list of it lacks or has too many.
    """

    def __init__(
        self, kind: str, name: str, entry: Entry, missing: Sequence[str] = (), surplus: Sequence[str] = ()
    ) -> None:
        self.kind, self.name, self.entry, self.missing, self.surplus = kind, name, entry, missing, surplus
        self.bare = bare_name(name)
        if kind in ("constraint", "trigger", "rule", "policy"):
            self.on = f"{kind.upper()} {self.bare} ON {entry.parent}"
        else:
            self.on = f"{kind.upper().removesuffix(' OBJECT')} {name}"

    def make(self) -> str:
        """Bring back the object, which is missing."""
        aspects, table = self.entry.aspects, f"ALTER TABLE {self.entry.parent}"
        if self.kind in REINSTALLED:
            fix = "tallymark migrate"
        elif self.kind == "role":
            fix = f"CREATE ROLE {self.name} NOLOGIN;"
        elif self.kind in ("index", "trigger", "rule"):
            fix = f"{aspects['definition']};"
        elif self.kind == "constraint":
            fix = f"{table} ADD CONSTRAINT {self.bare} {aspects['definition']};"
        elif self.kind == "column":
            default = f" DEFAULT {aspects['default']}" if aspects["default"] else ""
            null = " NOT NULL" if aspects["not null"] else ""
            fix = f"{table} ADD COLUMN {self.bare} {aspects['type']}{default}{null}; then restore its values"
        else:
            fix = "restore it from a backup; without data, tallymark rollback and tallymark migrate"
        return fix

    def drop(self) -> str:
        """Remove the object, which is in no file."""
        if self.kind in ("constraint", "column"):
            return f"ALTER TABLE {self.entry.parent} DROP {self.kind.upper()} {self.bare};"
        return f"DROP {self.on};"

    def of(self, aspect: str) -> str:
        """Mend one aspect of the object."""
        wanted = self.entry.aspects[aspect]
        if aspect == "owner":
            return f"ALTER {self.on} OWNER TO {wanted};"
        if aspect == "grants":
            return self._grants()
        if self.kind in REINSTALLED:
            # CREATE OR REPLACE changes neither the result nor the names of the arguments.
            return f"{self.drop()} then tallymark migrate" if aspect in ("arguments", "result") else "tallymark migrate"
        if aspect == "comment":
            return f"COMMENT ON {self.on} IS {sql.Literal(wanted).as_string()};"
        if aspect == "definition":
            return f"{self.drop()} {self.make()}"
        return self._detail(aspect, wanted)

    def _detail(self, aspect: str, wanted: Any) -> str:  # noqa: ANN401 - any aspect
        """Mend an aspect that only one kind of object has."""
        column = f"ALTER TABLE {self.entry.parent} ALTER COLUMN {self.bare}"
        if self.missing:
            options = f"SET ({', '.join(self.missing)})"
        else:
            options = f"RESET ({', '.join(value.partition('=')[0] for value in self.surplus)})"
        fixes = {
            ("role", "attributes"): f"ALTER ROLE {self.name} {' '.join(self.missing)};",
            ("role", "member of"): " ".join(f"REVOKE {role} FROM {self.name};" for role in self.surplus),
            ("table", "options"): f"ALTER TABLE {self.name} {options};",
            ("column", "type"): f"{column} TYPE {wanted}; (rewrites the table)",
            ("column", "not null"): f"{column} {'SET' if wanted else 'DROP'} NOT NULL;",
            ("column", "default"): f"{column} {f'SET DEFAULT {wanted}' if wanted else 'DROP DEFAULT'};",
            ("index", "valid"): f"REINDEX INDEX CONCURRENTLY {self.name};",
            ("constraint", "validated"): f"ALTER TABLE {self.entry.parent} VALIDATE CONSTRAINT {self.bare};",
        }
        return fixes.get((self.kind, aspect), f"give it the {aspect} that is expected")

    def _grants(self) -> str:
        """Bring back privileges that are missing and take away those that are in no file."""
        columns = f" ({self.bare})" if self.kind == "column" else ""
        if self.kind == "column":
            target = self.entry.parent
        elif self.kind in ("table", "view", "materialized view", "foreign table", "aggregate"):
            target = self.name
        else:
            target = self.on
        fixes = []
        for verb, preposition, grants in (("GRANT", "TO", self.missing), ("REVOKE", "FROM", self.surplus)):
            for grant in grants:
                privilege, _, rest = grant.partition(" for ")
                role, option, _ = rest.partition(" with grant option")
                role = self.entry.aspects["owner"] if role == "its owner" else role
                suffix = " WITH GRANT OPTION" if option and verb == "GRANT" else ""
                fixes.append(f"{verb} {privilege}{columns} ON {target} {preposition} {role}{suffix};")
        return " ".join(fixes)
