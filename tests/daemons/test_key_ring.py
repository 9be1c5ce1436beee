"""The callers that a process knows by their keys: what opens, what never does, and for how long."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from core.api_keys import MadeKey, Role, make_key_text
from core.errors import ConfigurationError, DatabaseFault, Unavailable
from core.home_key import HomeKey, find_home_key, make_home_key
from core.ports.api_keys import ValidKey
from daemons.process import key_ring
from daemons.process.guard.callers import Caller
from daemons.process.guard.refusals import Refusal
from daemons.process.key_ring import NOTE_EVERY, TRUSTED, KeyRing
from daemons.process.vitals import Vitals

PORT = 8080
TOKENS = 1_000
SEED = 20_261_127


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


class KeysInMemory:
    """Answers as the database would, or as it does when it is away."""

    def __init__(self) -> None:
        self.keys: dict[str, ValidKey] = {}
        self.number = 0
        self.error: Exception | None = None
        self.noted: list[str] = []

    def add(self, caller: str, role: Role = Role.VIEWER, lasts: float | None = None) -> MadeKey:
        made = make_key_text()
        self.keys[made.id] = ValidKey(id=made.id, caller=caller, role=role, hash=made.hash, seconds_left=lasts)
        self.number += 1
        return made

    def remove(self, made: MadeKey) -> None:
        del self.keys[made.id]
        self.number += 1

    async def changes(self) -> int:
        if self.error is not None:
            raise self.error
        return self.number

    async def valid(self) -> Sequence[ValidKey]:
        return list(self.keys.values())

    async def note_used(self, ids: Iterable[str]) -> None:
        self.noted += ids

    async def forget_nonces(self) -> None: ...


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(key_ring.time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def keys() -> KeysInMemory:
    return KeysInMemory()


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(HomeKey(b"0" * 64), [("the-key-of-the-provider", Caller("orderdeck", Role.ADMIN))])


async def look(ring: KeyRing, keys: KeysInMemory) -> None:
    await ring.look(cast("Any", keys))


async def refused(ring: KeyRing, header: bytes | None) -> int:
    with pytest.raises(Refusal) as error:
        await ring.admit(header, PORT)
    assert error.value.status != 401 or dict(error.value.headers(b""))[b"www-authenticate"].startswith(b"Bearer")
    return error.value.status


def shown(made: MadeKey) -> bytes:
    return f"Bearer {made.text}".encode()


async def test_a_key_opens_until_it_is_revoked_or_expires(ring: KeyRing, keys: KeysInMemory, clock: Clock) -> None:
    ana, otto = keys.add("ana", Role.ADMIN), keys.add("otto", Role.OPERATOR, lasts=100)
    await look(ring, keys)
    for header in (shown(ana), b"bearer " + ana.text.encode(), b"  BEARER   " + ana.text.encode() + b" \t"):
        admitted = await ring.admit(header, PORT)
        assert (admitted.name, admitted.role) == ("ana", Role.ADMIN)
    caller = await ring.admit(shown(otto), PORT)
    clock.now += 99
    await look(ring, keys)
    assert caller.valid
    keys.remove(ana)
    before = await ring.admit(shown(ana), PORT)
    await look(ring, keys)
    assert await refused(ring, shown(ana)) == 401
    assert before.ended.is_set()
    keys.keys[otto.id] = ValidKey(id=otto.id, caller="otto", role=Role.OPERATOR, hash=otto.hash, seconds_left=1)
    keys.number += 1
    await look(ring, keys)
    clock.now += 1.5
    assert await refused(ring, shown(otto)) == 401
    assert not caller.valid


async def test_while_the_database_is_away_keys_open_for_a_minute_and_then_nobody_is_told_that_a_key_is_wrong(
    ring: KeyRing, keys: KeysInMemory, clock: Clock
) -> None:
    made = keys.add("ana")
    assert await refused(ring, shown(made)) == 503  # the keys were never read
    assert await refused(ring, None) == 401
    await look(ring, keys)
    keys.error = Unavailable("the database is away")
    clock.now += TRUSTED - 1
    with pytest.raises(Unavailable):
        await look(ring, keys)
    assert (await ring.admit(shown(made), PORT)).name == "ana"
    clock.now += 2
    assert await refused(ring, shown(made)) == 503
    assert await refused(ring, b"Bearer nonsense") == 401
    assert (await ring.admit(b"Bearer " + HomeKey(b"0" * 64).token(PORT).encode(), PORT)).name == "home"
    keys.error = None
    await look(ring, keys)
    assert (await ring.admit(shown(made), PORT)).name == "ana"


async def test_that_a_key_is_in_use_is_noted_at_most_once_a_minute(
    ring: KeyRing, keys: KeysInMemory, clock: Clock
) -> None:
    made = keys.add("ana")
    await look(ring, keys)
    for _ in range(3):
        await ring.admit(shown(made), PORT)
        await look(ring, keys)
        clock.now += 1
    assert keys.noted == [made.id]
    clock.now += NOTE_EVERY
    await look(ring, keys)
    assert keys.noted == [made.id] * 2  # it was used since
    clock.now += NOTE_EVERY
    await look(ring, keys)
    assert keys.noted == [made.id] * 2


async def test_a_fault_of_the_table_of_keys_is_told_by_ready_once_the_daemon_works(
    ring: KeyRing, keys: KeysInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough(Exception): ...

    async def enough(_: float) -> None:
        raise Enough

    monkeypatch.setattr(key_ring.asyncio, "sleep", enough)
    vitals, stored = Vitals("command-api"), cast("Any", keys)
    keys.error = DatabaseFault("missing right", "42501")
    for works in (False, True):
        vitals.has_worked = works
        with pytest.raises(Enough):
            await ring.keep(stored, vitals)
        assert (key_ring.PART in vitals.faults) is works
    keys.error = None
    with pytest.raises(Enough):
        await ring.keep(stored, vitals)
    assert key_ring.PART not in vitals.faults


async def test_a_thousand_hostile_headers_never_open_anything(ring: KeyRing, keys: KeysInMemory) -> None:
    made = keys.add("ana", Role.ADMIN)
    await look(ring, keys)
    choice = random.Random(SEED)
    for header in hostile_headers(made.text.encode(), choice):
        assert await refused(ring, header) == 401, header


def hostile_headers(right: bytes, choice: random.Random) -> Iterable[bytes]:
    """Headers that are nearly right, or not at all; the seed makes them the same each time."""
    home = HomeKey(b"0" * 64)
    id_, secret = right[:13], right[14:]
    yield from (
        b"", b" ", b"Bearer", b"Bearer ", b"Bearer  \t", right, b"Basic " + right, b"Token " + right,
        b"Bearer " + right + b", Bearer " + right, b"Bearer\t" + right, b"Bearer\xc2\xa0" + right, b"Bearer " + id_,
        b"Bearer " + id_ + b"_", b"Bearer " + right.upper(), b"Bearer " + right + b"\n", b"Bearer " + right + b"\x00",
        b"Bearer " + right[:-1], b"Bearer " + right + b"0", b'Bearer "' + right + b'"', b"Bearer od__" + secret,
        b"Bearer " + id_ + b"_" + b"0" * 64, b"Bearer od_' OR 1=1 --_" + secret, b"Bearer null", b"Bearer undefined",
        b"Bearer " + home.token(PORT + 1).encode(), b"Bearer " + HomeKey(b"1" * 64).token(PORT).encode(),
        b"Bearer odh_99999999999_" + b"0" * 64, b"Bearer odh_0_" + b"0" * 64, b"Bearer " + b"A" * 60_000,
        b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ.", b"Bearer the-key-of-the-provide", b"Bearer home",
    )  # fmt: skip
    for _ in range(TOKENS):
        kind = choice.randrange(4)
        if kind == 0:  # one byte of the right key is another
            place = choice.randrange(len(right))
            wrong = bytes([(right[place] + choice.randrange(1, 256)) % 256])
            yield b"Bearer " + right[:place] + wrong + right[place + 1 :]
        elif kind == 1:  # a key as it is written, with the right id or another
            fresh = make_key_text().text.encode()
            yield b"Bearer " + (fresh if choice.random() < 0.5 else id_ + fresh[13:])
        elif kind == 2:
            yield choice.randbytes(choice.randrange(200))
        else:
            yield b"Bearer " + choice.randbytes(choice.randrange(2_000))


def test_a_token_of_the_home_is_for_one_port_and_one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    home = HomeKey(b"0" * 64)
    token = home.token(PORT).encode()
    assert home.made(token, PORT)
    assert not home.made(token, PORT + 1)
    later = time.time() + 61
    monkeypatch.setattr("core.home_key.time.time", lambda: later)
    assert not home.made(token, PORT)
    monkeypatch.setattr("core.home_key.time.time", lambda: later - 1_000)
    assert not home.made(token, PORT)  # made by a clock that is far ahead


def test_the_key_of_a_home_is_made_once_and_refused_when_others_can_read_it(tmp_path: Path) -> None:
    assert find_home_key(tmp_path) is None
    made = make_home_key(tmp_path)
    assert made is not None
    assert make_home_key(tmp_path) is made
    file = tmp_path / "home.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["home.key"]
    (tmp_path / "other").mkdir()
    file.rename(tmp_path / "other" / "home.key").chmod(0o640)
    with pytest.raises(ConfigurationError, match="run chmod 600"):
        find_home_key(tmp_path / "other")
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "home.key").write_text("short")
    (tmp_path / "third" / "home.key").chmod(0o600)
    with pytest.raises(ConfigurationError, match="is no key"):
        make_home_key(tmp_path / "third")
