"""The keys of callers in the database: two at a time for each caller, and revoked for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.adapters.postgres.api_keys import PostgresApiKeys
from core.adapters.postgres.connection import Connection, Link
from core.api_keys import MadeKey, Role, hash_of, id_in, make_key_text
from core.errors import InvalidInput, NotAllowed, NotFound
from core.ports.api_keys import KeyTerms
from core.ports.audit import AuditNote
from core.services import api_keys
from core.services.api_keys import ShownOnce, create_key, revoke_key, rotate_key
from tests.support.opener import Opener

ANA = KeyTerms(caller="ana", role=Role.OPERATOR, routes=("GET /api/v1/orders*",), speaks_for_others=True)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "NOTICED_WITHIN", 0)


@pytest.fixture
async def keys(opener: Opener) -> AsyncIterator[PostgresApiKeys]:
    link = Link(opener)
    yield PostgresApiKeys(link)
    link.close()


def note() -> AuditNote:
    return AuditNote(action="keys", caller="ana")


async def make(keys: PostgresApiKeys, terms: KeyTerms = ANA, lasts: timedelta | None = None) -> ShownOnce:
    return await create_key(keys, terms, note(), lasts=lasts, by="operator")


async def test_a_key_is_shown_once_and_only_its_hash_is_kept(keys: PostgresApiKeys, admin: Connection) -> None:
    made = await make(keys, lasts=DAY)
    text = made.text.encode()
    assert id_in(text) == made.key.id
    assert len(bytes.fromhex(made.text.rpartition("_")[2])) == 32
    row = await admin.fetchrow("SELECT * FROM api_keys")
    assert row is not None
    assert row["hash"] == hash_of(text)
    assert made.text.rpartition("_")[2] not in str(dict(row))
    assert (await keys.one(made.key.id)) == made.key
    (valid,) = await keys.valid()
    assert (valid.caller, valid.role, valid.routes, valid.speaks_for_others) == ("ana", Role.OPERATOR, ANA.routes, True)
    assert valid.seconds_left is not None
    assert 0 < valid.seconds_left <= DAY.total_seconds()


async def test_a_caller_has_at_most_two_valid_keys_also_when_many_are_made_at_once(opener: Opener) -> None:
    links = [Link(opener) for _ in range(4)]
    tries = [make(PostgresApiKeys(link)) for link in links for _ in range(2)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    made = [each for each in outcomes if isinstance(each, ShownOnce)]
    assert len(made) == 2
    refused = [each for each in outcomes if not isinstance(each, ShownOnce)]
    assert all(isinstance(each, NotAllowed) for each in refused), refused
    assert "revoke one first" in str(refused[-1])
    keys = PostgresApiKeys(links[0])
    await revoke_key(keys, made[0].key.id, note(), by="operator")
    await make(keys)
    await make(keys, KeyTerms(caller="otto", role=Role.VIEWER))
    for link in links:
        link.close()


async def test_a_key_is_replaced_by_one_of_the_same_terms_and_expires_after_the_overlap(
    keys: PostgresApiKeys, admin: Connection
) -> None:
    old = await make(keys, lasts=2 * DAY)
    new = await rotate_key(keys, old.key.id, note(), overlap=DAY, by="ana")
    assert new.text != old.text
    assert (new.key.caller, new.key.role, tuple(new.key.routes)) == ("ana", ANA.role, ANA.routes)
    now = await keys.one(old.key.id)
    assert now is not None
    assert now.expires_at is not None
    assert old.key.expires_at is not None
    assert now.expires_at < old.key.expires_at
    with pytest.raises(NotAllowed, match="two valid keys"):
        await rotate_key(keys, new.key.id, note(), overlap=DAY, by="ana")
    await keys.end_within(old.key.id, timedelta(0))
    assert [key.id for key in await keys.valid()] == [new.key.id]
    await rotate_key(keys, new.key.id, note(), overlap=timedelta(0), by="ana")  # the place of the expired one is free
    assert [key.state for key in await keys.all()] == ["valid", "expired", "expired"]
    with pytest.raises(NotAllowed, match="is expired"):
        await rotate_key(keys, new.key.id, note(), overlap=DAY, by="ana")


async def test_a_change_of_keys_is_seen_and_a_note_of_use_is_none(keys: PostgresApiKeys) -> None:
    before = await keys.changes()
    made = await make(keys)
    added = await keys.changes()
    await keys.note_used([made.key.id, "unknown"])
    assert (await keys.changes(), added > before) == (added, True)
    used = await keys.one(made.key.id)
    assert used is not None
    assert used.last_used_at is not None
    assert (used.last_used_at.second, used.last_used_at.microsecond) == (0, 0)
    await revoke_key(keys, made.key.id, note(), by="operator")
    assert await keys.changes() > added
    assert await keys.valid() == []


@pytest.mark.parametrize(
    "change",
    [
        "role = 'admin'", "caller = 'otto'", "hash = '\\x00'", "speaks_for_others = false", "routes = '{}'",
        "hash = NULL, public_key = 'x'", "revoked_at = NULL, revoked_by = NULL", "revoked_by = 'otto'",
        "expires_at = NULL", "expires_at = expires_at + interval '1 day'",
    ],
)  # fmt: skip
async def test_no_daemon_can_make_more_of_a_key_or_take_its_revocation_back(
    keys: PostgresApiKeys, opener: Opener, change: str
) -> None:
    made = await make(keys, lasts=DAY)
    await revoke_key(keys, made.key.id, note(), by="operator")
    again = await revoke_key(keys, made.key.id, note(), by="another")
    assert (again.state, again.revoked_by) == ("revoked", "operator")
    connection = await opener()
    with pytest.raises(asyncpg.PostgresError):
        await connection.execute(f"UPDATE api_keys SET {change}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DELETE FROM api_keys")
    await connection.close()


@pytest.mark.parametrize(
    ("terms", "lasts", "field"),
    [
        (KeyTerms(caller="", role=Role.VIEWER), None, "caller"),
        (KeyTerms(caller="home", role=Role.VIEWER), None, "caller"),
        (KeyTerms(caller="daemon", role=Role.VIEWER), None, "caller"),
        (KeyTerms(caller="Ana", role=Role.VIEWER), None, "caller"),
        (KeyTerms(caller="ana ", role=Role.VIEWER), None, "caller"),
        (KeyTerms(caller="a" * 61, role=Role.VIEWER), None, "caller"),
        (KeyTerms(caller="a\n", role=Role.VIEWER), None, "caller"),
        (KeyTerms(caller="ana", role=Role.VIEWER, routes=("orders",)), None, "routes[0]"),
        (KeyTerms(caller="ana", role=Role.VIEWER, routes=("GET /x", "FETCH /x")), None, "routes[1]"),
        (KeyTerms(caller="ana", role=Role.VIEWER, routes=("GET /x",) * 51), None, "routes"),
        (ANA, timedelta(0), "expires_in"),
        (ANA, timedelta(days=36_500), "expires_in"),
    ],
)
async def test_what_no_key_can_be_is_refused_by_name(terms: KeyTerms, lasts: timedelta | None, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await create_key(NO_DATABASE, terms, note(), lasts=lasts, by="operator")
    assert [wrong.field for wrong in refused.value.errors] == [field]


async def test_there_is_no_key_of_an_unknown_id(keys: PostgresApiKeys) -> None:
    for id_ in ("", "x" * 1_000, "aaaaaaaaaa", "'; --", "a\0b"):
        with pytest.raises(NotFound):
            await revoke_key(keys, id_, note(), by="operator")
        with pytest.raises(NotFound):
            await rotate_key(keys, id_, note(), overlap=DAY, by="operator")


async def test_a_key_that_signs_has_no_secret_and_each_nonce_counts_once(
    keys: PostgresApiKeys, admin: Connection
) -> None:
    public = PUBLIC.replace("\n", "\r\n") + "\n\n"
    made = await make(keys, KeyTerms(caller="shop", role=Role.OPERATOR, public_key=public))
    assert (made.text, made.key.public_key) == (f"od_{made.key.id}", PUBLIC)
    assert await admin.fetchval("SELECT hash FROM api_keys") is None
    assert [(key.hash, key.public_key) for key in await keys.valid()] == [(None, PUBLIC)]
    id_, minute = made.key.id, timedelta(minutes=1)
    assert [await keys.use_nonce(id_, nonce, minute) for nonce in ("a", "a", "b")] == [True, False, True]
    assert await keys.use_nonce(id_, "over", timedelta(seconds=-1))
    await keys.forget_nonces()
    assert [await keys.use_nonce(id_, nonce, minute) for nonce in ("a", "over")] == [False, True]
    with pytest.raises(InvalidInput, match="must be the new one"):
        await rotate_key(keys, id_, note(), overlap=DAY, by="operator")
    await rotate_key(keys, id_, note(), overlap=timedelta(0), by="operator", public_key=PUBLIC)
    shown = await make(keys)
    signs = await rotate_key(keys, shown.key.id, note(), overlap=DAY, by="operator", public_key=PUBLIC)
    assert (signs.key.routes, signs.key.public_key) == (ANA.routes, PUBLIC)


@pytest.mark.parametrize(
    "public_key",
    ["", "x" * 3_000, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "\ud800", "PRIVATE KEY"],
)
async def test_what_is_no_public_key_is_refused_and_not_repeated(public_key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await make(NO_DATABASE, KeyTerms(caller="shop", role=Role.VIEWER, public_key=public_key))
    (wrong,) = refused.value.errors
    assert wrong.field == "public_key"
    assert public_key not in wrong.message or not public_key


def test_no_two_keys_are_alike() -> None:
    made: list[MadeKey] = [make_key_text() for _ in range(200)]
    assert len({each.text for each in made}) == len({each.id for each in made}) == 200


async def _no_connection() -> Connection:
    raise AssertionError("nothing is asked of the database")


PUBLIC = (
    Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
)
NO_DATABASE = PostgresApiKeys(Link(_no_connection))
