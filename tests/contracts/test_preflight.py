"""Other people's databases: what can be used is used, and anything else is refused in a sentence with the remedy."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from core.adapters.postgres import preflight
from core.adapters.postgres.connection import Connection, connect
from core.adapters.postgres.embedded import EmbeddedPostgres
from core.adapters.postgres.event_store import PostgresEventStore
from core.adapters.postgres.migrate import NEEDED
from core.bootstrap import bootstrap, freeze_evidence, look_at_database, migrate_database
from core.errors import ConfigurationError, LoginRefused, OrderdeckError, Unavailable
from core.home import OWNER
from core.ports.log import Accepted
from core.settings import Settings
from tests.support.log import append, entry, stream

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A database of a user who is no superuser; `sql` runs as the server's superuser."""

    server: EmbeddedPostgres
    admin: Connection
    name: str

    def url(self, parameters: str = "", *, user: str = "", database: str = "") -> str:
        url = self.server.dsn(database or self.name).replace(f"{OWNER}@", f"{user or self.name}@")
        return url + parameters

    def settings(self, parameters: str = "", *, user: str = "", owner: str | None = None) -> Settings:
        return Settings(
            home=Path("/nowhere"),
            database_url=SecretStr(self.url(parameters, user=user)),
            owner_url=None if owner is None else SecretStr(self.url(parameters, user=owner)),
        )

    async def sql(self, *statements: str) -> None:
        for statement in statements:
            await self.admin.execute(statement.format(name=self.name))


@pytest.fixture
async def place(postgres: EmbeddedPostgres) -> AsyncIterator[Place]:
    admin = await connect(postgres.dsn("postgres"), name="admin", role=None)
    place = Place(postgres, admin, f"shop{next(_numbers)}")
    await place.sql("CREATE ROLE {name} LOGIN CREATEROLE", "CREATE DATABASE {name} OWNER {name}")
    yield place
    left = [r[0] for r in await admin.fetch("SELECT rolname FROM pg_roles WHERE rolname ~ ('^' || $1)", place.name)]
    own = f"orderdeck_app_{await admin.fetchval('SELECT oid FROM pg_database WHERE datname = $1', place.name)}"
    await place.sql("DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {own}")
    for role in sorted(left, reverse=True):
        await admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await admin.close()


async def append_one(url: str) -> object:
    store = PostgresEventStore(lambda: connect(url, name="test"))
    try:
        return await store.append(append(entry(stream())))
    finally:
        await store.close()


async def works(settings: Settings) -> None:
    """Migrate, start as a daemon does, append an event, and read everything as `verify` does."""
    assert await migrate_database(settings) == NEEDED
    async with bootstrap(settings, name="test") as app:
        assert await app.why_not_ready() is None
        assert isinstance(await app.store.append(append(entry(stream()))), Accepted)
    async with freeze_evidence(settings, wait=0) as evidence:
        assert evidence.head >= 1


DEFAULTS = [
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_read_only = on",
    "default_transaction_deferrable = on",
    "search_path = nowhere",
    "search_path = ''",
    "timezone = 'Asia/Kathmandu'",
    "datestyle = 'German, DMY'",
    "intervalstyle = 'iso_8601'",
    "client_encoding = 'latin1'",
    "bytea_output = 'escape'",
    "standard_conforming_strings = off",
    "statement_timeout = '100ms'",
    "lock_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '100ms'",
    "idle_session_timeout = '500ms'",
    "transaction_timeout = '500ms'",
    "synchronous_commit = off",
    "extra_float_digits = -15",
    "plan_cache_mode = force_custom_plan",
]


async def test_no_default_of_a_database_or_a_user_keeps_orderdeck_from_working(place: Place) -> None:
    for number, default in enumerate(DEFAULTS):
        await place.sql(f"ALTER {('DATABASE', 'ROLE')[number % 2]} {{name}} SET {default}")
    await place.sql("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    await works(place.settings())
    daemon = await connect(place.url(), name="test")
    for setting, value in {"TimeZone": "UTC", "statement_timeout": "5s", "synchronous_commit": "on"}.items():
        assert await daemon.fetchval("SELECT current_setting($1)", setting) == value
    await daemon.close()


async def test_a_second_owner_on_one_server_gets_a_role_of_its_own_for_its_daemons(place: Place, dsn: str) -> None:
    assert dsn, "the first orderdeck of this server has the role orderdeck_app"
    await works(place.settings())
    daemon = await connect(place.url(), name="test")
    role = await daemon.fetchval("SELECT current_user::text")
    assert role.startswith("orderdeck_app_")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await daemon.execute("SET ROLE orderdeck_app")
    await daemon.close()


async def test_orderdeck_keeps_its_tables_in_the_schema_that_the_address_names(place: Place) -> None:
    await place.sql("CREATE ROLE {name}_guest LOGIN CREATEROLE", "GRANT CREATE ON DATABASE {name} TO {name}_guest")
    guest = f"{place.name}_guest"
    with pytest.raises(ConfigurationError, match=rf"may not make tables in schema public .* OWNER TO \"{guest}\""):
        await migrate_database(place.settings(user=guest))
    await works(place.settings("&schema=order%20desk", user=guest))
    owner = await connect(place.url(user=guest), name="test", role=None)
    tables = "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_name IN ('events', 'snapshots')"
    assert [row[0] for row in await owner.fetch(tables)] == ["order desk"]
    await owner.close()


async def test_migrate_makes_the_daemons_user_and_gives_it_nothing_but_their_role(place: Place) -> None:
    settings = place.settings(user=f"{place.name}_daemon", owner=place.name)
    with pytest.raises(Unavailable, match="`orderdeck migrate` makes a user that is missing"):
        async with bootstrap(settings, name="test"):
            pass
    await works(settings)
    assert set(await look_at_database(settings)) == {"DATABASE_URL", "ORDERDECK_OWNER_URL"}
    daemon = await connect(place.url(user=f"{place.name}_daemon"), name="test")
    await daemon.execute("SET ROLE NONE")
    await refuses_everything(daemon, f"SET ROLE {place.name}")
    await daemon.close()


async def refuses_everything(daemon: Connection, *more: str) -> None:
    """What a stranger would try who can run any SQL on the connection of a daemon."""
    for attempt in (
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "CREATE TEMP TABLE got (line text); COPY got FROM PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "UPDATE events SET payload = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "INSERT INTO events SELECT * FROM events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TRIGGER events_are_facts ON events",
        "CREATE TABLE mine (a int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine SUPERUSER",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "SET session_replication_role = replica",
        "SET SESSION AUTHORIZATION orderdeck_owner",
        f"SET ROLE {OWNER}",
        "ALTER FUNCTION append_events SECURITY INVOKER",
        "CREATE EXTENSION plpython3u",
        *more,
    ):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await daemon.execute(attempt)
        # 42501: insufficient privilege; 0A000: there is no such extension; 58P01: the same in other words
        sqlstate = getattr(refused.value, "sqlstate", "")
        assert sqlstate in {"42501", "0A000", "58P01"}, f"{attempt}: {refused.value}"


async def test_no_daemon_of_the_embedded_database_can_leave_its_role_or_run_a_program(
    dsn: str, postgres: EmbeddedPostgres
) -> None:
    assert isinstance(await append_one(dsn), Accepted)
    daemon = await connect(dsn.replace(OWNER, "orderdeck_app"), name="test")
    for way in ("RESET ROLE", "SET ROLE NONE", "RESET SESSION AUTHORIZATION", "RESET ALL"):
        await daemon.execute(way)
        assert await daemon.fetchval("SELECT current_user::text") == "orderdeck_app"
        assert await daemon.fetchval("SELECT session_user::text") == "orderdeck_app"
        await refuses_everything(daemon)
    await daemon.close()
    with pytest.raises(ConfigurationError, match="is a superuser, and no daemon of orderdeck logs in as one: put"):
        async with bootstrap(Settings(home=postgres.home.path, database_url=SecretStr(dsn)), name="test"):
            pass


@dataclass(frozen=True)
class Refusal:
    statement: str
    says: str
    parameters: str = ""
    user: str = ""


REFUSALS = [
    Refusal("ALTER ROLE {name} SUPERUSER", "is a superuser, and no daemon of orderdeck logs in as one"),
    Refusal("ALTER ROLE {name} NOCREATEROLE", 'run ALTER ROLE "shop[0-9]+" CREATEROLE as a superuser'),
    Refusal("ALTER ROLE {name} NOLOGIN", "does not let shop[0-9]+ in .*is not permitted to log in.*: correct"),
    Refusal("ALTER DATABASE {name} ALLOW_CONNECTIONS off", "not currently accepting connections"),
    Refusal("SELECT 1", "does not let nobody1 in .*does not exist.*: correct DATABASE_URL", user="nobody1"),
    Refusal("SELECT 1", "the file /nowhere/ca.crt cannot be read: correct sslrootcert", "&sslrootcert=/nowhere/ca.crt"),
]  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=[f"{r.statement}{r.parameters}{r.user}" for r in REFUSALS])
async def test_what_a_person_has_to_change_is_said_at_once_in_one_sentence(
    place: Place, dsn: str, refusal: Refusal
) -> None:
    assert dsn
    await place.sql(refusal.statement)
    with pytest.raises(ConfigurationError, match=refusal.says) as refused:
        await migrate_database(place.settings(refusal.parameters, user=refusal.user))
    assert "\n" not in str(refused.value)
    await place.sql("ALTER DATABASE {name} ALLOW_CONNECTIONS on")


async def test_a_database_with_another_encoding_or_that_does_not_exist_is_refused(place: Place) -> None:
    await place.sql(
        "DROP DATABASE {name}",
        "CREATE DATABASE {name} OWNER {name} ENCODING LATIN1 LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0",
    )
    with pytest.raises(ConfigurationError, match="has the encoding LATIN1, and orderdeck needs UTF8: make a new one"):
        await migrate_database(place.settings())
    nowhere = Settings(home=Path("/nowhere"), database_url=SecretStr(place.url(database="nowhere")))
    for use in (migrate_database, look_at_database):
        with pytest.raises(LoginRefused, match=r'database "nowhere" does not exist'):
            await use(nowhere)


async def test_a_database_that_is_away_is_no_fault_of_the_settings(place: Place) -> None:
    for away in ("postgresql://u:p%23@127.0.0.1:1/d", "postgresql://u@/d?host=/nowhere", "postgresql://u@h.invalid/d"):
        with pytest.raises(Unavailable, match="the database is away"):
            await migrate_database(Settings(home=Path("/nowhere"), database_url=SecretStr(away)))
    await place.sql("ALTER ROLE {name} CONNECTION LIMIT 0")
    with pytest.raises(Unavailable, match="too many connections"):
        await migrate_database(place.settings())


async def test_a_user_who_is_not_the_owner_of_the_tables_is_told_who_is(place: Place) -> None:
    await works(place.settings())
    await place.sql("CREATE ROLE {name}_other LOGIN CREATEROLE")
    with pytest.raises(OrderdeckError, match=f"{place.name}_other has not the rights of a daemon"):
        await migrate_database(place.settings(user=f"{place.name}_other"))


RIGHTS = """
SELECT c.relname::text, a.privilege_type::text FROM pg_class c, aclexplode(c.relacl) a
 WHERE a.grantee = to_regrole($1) UNION ALL
SELECT p.proname, a.privilege_type FROM pg_proc p, aclexplode(p.proacl) a WHERE a.grantee = to_regrole($1) UNION ALL
SELECT p.proname, 'PUBLIC ' || a.privilege_type FROM pg_proc p, aclexplode(p.proacl) a
 WHERE a.grantee = 0 AND p.pronamespace = 'public'::regnamespace
 ORDER BY 1, 2
"""


async def test_every_migrate_gives_back_the_role_and_exactly_the_rights_that_are_missing(
    place: Place, dsn: str
) -> None:
    assert dsn
    settings = place.settings()
    await migrate_database(settings)
    owner = await connect(place.url(), name="test", role=None)
    number = await owner.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")
    role = f"orderdeck_app_{number}"
    before = await owner.fetch(RIGHTS, role)
    assert len(before) > 30
    await owner.execute(f"GRANT EXECUTE ON FUNCTION append_events TO PUBLIC; DROP OWNED BY {role}; DROP ROLE {role}")
    with pytest.raises(Unavailable, match=r"has not the rights of .*: run `orderdeck migrate`"):
        async with bootstrap(settings, name="test"):
            pass
    await works(settings)
    assert await owner.fetch(RIGHTS, role) == before
    await owner.close()


async def test_a_connection_that_is_cut_while_a_statement_is_prepared_is_an_outage(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_: object, **__: object) -> None:  # as asyncpg says it
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

    monkeypatch.setattr(preflight, "set_up", cut)
    with pytest.raises(Unavailable, match="the database is away"):
        await look_at_database(place.settings())
