"""The daemons' role and its rights, which every `migrate` ensures: a dump has neither roles nor memberships.

The rights are those that the migrations grant. They are read from the migrations' text, so no other file lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.session import ROLE
from core.database_address import DatabaseAddress
from core.errors import ConfigurationError

GRANT = re.compile(
    r"^GRANT\s+([A-Z, ]+?)\s+ON\s+(?:(FUNCTION|SEQUENCE|TABLE)\s+)?([\w,\s]+?)\s+TO\s+orderdeck_app;", re.MULTILINE
)
CLOSED = re.compile(r"^REVOKE\s+ALL\s+ON\s+FUNCTION\s+([\w,\s]+?)\s+FROM\s+PUBLIC;", re.MULTILINE)

LACKING = """
SELECT w.kind, w.object, w.privilege
  FROM unnest($2::text[], $3::text[], $4::text[]) AS w(kind, object, privilege)
 WHERE CASE w.kind
       WHEN 'FUNCTION' THEN to_regproc(w.object) IS NOT NULL
                        AND NOT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
                                         WHERE p.oid = to_regproc(w.object) AND a.grantee = to_regrole($1))
       WHEN 'SEQUENCE' THEN to_regclass(w.object) IS NOT NULL
                        AND NOT has_sequence_privilege($1, to_regclass(w.object)::oid, w.privilege)
       ELSE to_regclass(w.object) IS NOT NULL
        AND NOT has_table_privilege($1, to_regclass(w.object)::oid, w.privilege) END
"""
OPEN = """
SELECT w.name FROM unnest($1::text[]) AS w(name)
 WHERE to_regproc(w.name) IS NOT NULL AND has_function_privilege('public', to_regproc(w.name)::oid, 'EXECUTE')
"""
FOREIGN_OWNER = """
SELECT c.relname, pg_get_userbyid(c.relowner)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = ANY ($1) AND n.nspname = current_schema() AND NOT pg_has_role(c.relowner, 'USAGE')
 LIMIT 1
"""

LOGIN = "SELECT rolcanlogin, pg_has_role(oid, $2, 'MEMBER') FROM pg_roles WHERE rolname = $1"
MAKE_LOGIN = "CREATE ROLE %1$I LOGIN PASSWORD %2$L IN ROLE %3$I"


@dataclass(frozen=True)
class Rights:
    """What the migrations grant to the daemons' role, and which functions they close to everybody else."""

    granted: frozenset[tuple[str, str, str]]
    closed: frozenset[str]


def rights_of(texts: Iterable[str]) -> Rights:
    """Read the rights from the migrations' texts. An object that a later migration drops is left out when used."""
    granted: set[tuple[str, str, str]] = set()
    closed: set[str] = set()
    for text in texts:
        for privileges, kind, objects in GRANT.findall(text):
            granted |= {(kind or "TABLE", o, p) for p in _words(privileges) for o in _words(objects)}
        for functions in CLOSED.findall(text):
            closed |= set(_words(functions))
    return Rights(frozenset(granted), frozenset(closed))


async def ensure_role(connection: Connection) -> str:
    """Make the daemons' role if it is missing, make us a member of it, and return its name."""
    database = await connection.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")
    for name in (f"{ROLE}_{database}", ROLE):
        if await connection.fetchval("SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = $1", name):
            return name
    for name in (ROLE, f"{ROLE}_{database}"):  # the first may be the role of another owner's orderdeck
        if await _make_role(connection, name):
            return name
    user = await connection.fetchval("SELECT current_user::text")
    raise ConfigurationError(
        f"the database's user {user} may neither make the role {ROLE} nor become a member of it: "
        f'run ALTER ROLE "{user}" CREATEROLE as a superuser'
    )


async def ensure_rights(connection: Connection, role: str, rights: Rights) -> None:
    """Grant the role what it lacks; raises ConfigurationError when the tables belong to somebody else."""
    tables = sorted(o for kind, o, _ in rights.granted if kind == "TABLE")
    if (foreign := await connection.fetchrow(FOREIGN_OWNER, tables)) is not None:
        user = await connection.fetchval("SELECT current_user::text")
        raise ConfigurationError(
            f"the table {foreign[0]} belongs to {foreign[1]} and not to {user}: log in as {foreign[1]} to migrate, "
            f'or give it away as a superuser (REASSIGN OWNED BY "{foreign[1]}" TO "{user}")'
        )
    for row in await connection.fetch(OPEN, sorted(rights.closed)):
        await connection.execute(f"REVOKE ALL ON FUNCTION {row['name']} FROM PUBLIC")
    kinds, objects, privileges = zip(*sorted(rights.granted), strict=True)
    for row in await connection.fetch(LACKING, role, kinds, objects, privileges):
        await connection.execute(f"GRANT {row['privilege']} ON {row['kind']} {row['object']} TO {role}")
    if not await connection.fetchval("SELECT has_schema_privilege($1, current_schema(), 'USAGE')", role):
        await connection.execute(
            await connection.fetchval(
                "SELECT format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), $1::text)", role
            )
        )


async def ensure_login(connection: Connection, role: str, daemons: DatabaseAddress) -> None:
    """Make the user as whom the daemons log in, if it is missing, and make it a member of their role and no other."""
    user = daemons.user
    if user is None:
        raise ConfigurationError("DATABASE_URL names no user for the daemons: write one, such as orderdeck_daemon")
    known = await connection.fetchrow(LOGIN, user, role)
    statement = ""
    if known is None:
        statement = MAKE_LOGIN if daemons.password else MAKE_LOGIN.replace("PASSWORD %2$L", "")
    elif not known[0] and user == role:  # with a socket that only our user may enter, it needs no password
        statement = "ALTER ROLE %3$I LOGIN"
    elif not known[1]:
        statement = "GRANT %3$I TO %1$I"
    await _execute(connection, statement, user, daemons.password or "", role)
    if not await connection.fetchval("SELECT has_database_privilege($1, current_database(), 'CONNECT')", user):
        await _execute(connection, "GRANT CONNECT ON DATABASE %1$I TO %2$I", daemons.database or user, role)


async def _execute(connection: Connection, statement: str, *words: str) -> None:
    """Execute a statement after the words, quoted as the statement says, have been put into it."""
    if statement:
        await connection.execute(await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", statement, words))


async def _make_role(connection: Connection, name: str) -> bool:
    """Whether the role is there now, with us as a member; both need the attribute CREATEROLE."""
    try:
        if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
            await connection.execute(f"CREATE ROLE {name} NOLOGIN")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        pass  # another database of this server was migrated at the same moment
    except asyncpg.InsufficientPrivilegeError:
        return False
    try:
        await connection.execute(f"GRANT {name} TO CURRENT_USER")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]
