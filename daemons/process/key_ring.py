"""The key ring of a process: the callers it knows, by a copy of the valid keys that it keeps up to date.

A request is checked against the copy, so it costs no question to the database. Twice a second the process looks whether
the keys have changed. When the database has not answered for longer than TRUSTED, no key opens anything any more: one
of them may be revoked.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from core.api_keys import Role, hash_of, id_in, signer_in
from core.errors import Unavailable
from core.home_key import CALLER as HOME
from core.home_key import HomeKey
from core.ports.api_keys import ApiKeys, ValidKey
from core.settings import Settings
from daemons.process.guard.callers import Caller, no_key, no_signature, wrong_key
from daemons.process.guard.refusals import Refusal
from daemons.process.vitals import Vitals

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from daemons.process.access_tokens import AccessTokens

LOOK_EVERY = 0.4  # seconds between two looks whether keys have changed
READ_EVERY = 30.0  # seconds after which all keys are read, also if none seems to have changed
TRUSTED = 60.0  # seconds for which the copy counts while the database does not answer
NOTE_EVERY = 60.0  # seconds between two notes that a key is in use
PART = "the keys of callers"  # its name on the FaultBoard
NO_HASH = bytes(32)


class _CopiedKey(NamedTuple):
    caller: Caller
    hash: bytes | None
    public_key: Ed25519PublicKey | None


class KeyRing:
    """See `daemons.process.guard.callers.Door`.

    `home` is None where the home has no key. `fixed` are keys that stand in the settings, with who shows them. Without
    a database, no others are known. `tokens` knows the access tokens of an issuer, if there is one.
    """

    def __init__(
        self,
        home: HomeKey | None,
        fixed: Sequence[tuple[str, Caller]] = (),
        *,
        has_database: bool = True,
        tokens: AccessTokens | None = None,
    ) -> None:
        self._home = home
        self._has_database = has_database
        self._tokens = tokens
        self._home_caller = Caller(HOME, Role.ADMIN, speaks_for_others=True)
        self._fixed = [(hash_of(key.encode()), caller) for key, caller in fixed]
        self._known: dict[str, _CopiedKey] = {}
        self._in_use: set[str] = set()
        self._noted: dict[str, float] = {}  # by id: when its use was last noted
        self._looked = self._read = float("-inf")  # by the monotonic clock
        self._changes = -1
        self._keys: ApiKeys | None = None

    async def admit(self, authorization: bytes | None, port: int) -> Caller:
        if authorization is None:
            raise no_key()
        scheme, _, token = authorization.strip(b" \t").partition(b" ")
        if scheme.lower() != b"bearer":
            raise no_key()
        token = token.strip(b" \t")
        if self._home is not None and self._home.made(token, port):
            return self._home_caller
        for hashed, caller in self._fixed:
            if hmac.compare_digest(hashed, hash_of(token)):
                return caller
        if self._tokens is not None and token.count(b".") == 2:
            return await self._tokens.caller(token)
        return self._of_database(token)

    def _of_database(self, token: bytes) -> Caller:
        id_ = id_in(token)
        if id_ is None or not self._has_database:
            raise no_signature() if signer_in(token.decode("latin-1")) else wrong_key()
        self._check_copy()
        known = self._known.get(id_)
        # Also for an id that there is not, so that the time of the answer does not tell it from a wrong secret.
        right = hmac.compare_digest((known.hash if known else None) or NO_HASH, hash_of(token))
        if known is None or not right or not known.caller.valid:
            raise wrong_key()
        self._in_use.add(id_)
        return known.caller

    def _check_copy(self) -> None:
        if time.monotonic() - self._looked > TRUSTED:
            detail = "the database does not answer, so nobody can say whether this key is still valid"
            raise Refusal(503, "unavailable", detail, {"Retry-After": "1"})

    async def admit_signed(self, scope: Any, receive: Any) -> tuple[Caller, Any]:
        from daemons.process.guard.signed_requests import (  # noqa: PLC0415 - few homes need its library
            REMEMBERED,
            not_valid,
            read_signed,
            replayed,
            used,
        )

        if not self._has_database:
            raise not_valid("this service knows no keys that sign")
        self._check_copy()
        signed = await read_signed(scope, receive, self._public_key)
        id_ = signer_in(signed.key_id) or ""
        try:
            fresh = self._keys is not None and await self._keys.use_nonce(id_, signed.nonce, REMEMBERED)
        except Unavailable as error:
            detail = "the database does not answer, so nobody can say whether this request has come before"
            raise Refusal(503, "unavailable", detail, {"Retry-After": "1"}) from error
        if not fresh:
            raise used()
        known = self._known.get(id_)
        if known is None or not known.caller.valid:  # revoked while its body came
            raise wrong_key()
        self._in_use.add(id_)
        return known.caller, replayed(signed.body, receive)

    def _public_key(self, key_id: str) -> Ed25519PublicKey | None:
        known = self._known.get(signer_in(key_id) or "")
        return known.public_key if known is not None and known.caller.valid else None

    async def keep(self, keys: ApiKeys, vitals: Vitals) -> None:
        """Keep the copy up to date until cancelled."""
        while True:
            with vitals.beside(PART):
                await self.look(keys)
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, keys: ApiKeys) -> None:
        """Read the keys if they have changed, and note which were used."""
        asked, self._keys = time.monotonic(), keys
        changes = await keys.changes()  # before the keys: a change between the two is seen at the next look
        if changes != self._changes or asked - self._read > READ_EVERY:
            self._take(await keys.valid(), asked)
            self._changes, self._read = changes, asked
            await keys.forget_nonces()
        self._looked = asked
        used = [id_ for id_ in self._in_use if asked - self._noted.get(id_, float("-inf")) > NOTE_EVERY]
        if used:
            await keys.note_used(used)
            self._noted |= dict.fromkeys(used, asked)
            self._in_use.difference_update(used)

    def _take(self, valid: Sequence[ValidKey], now: float) -> None:
        known: dict[str, _CopiedKey] = {}
        for key in valid:
            before = self._known.pop(key.id, None)
            caller = _caller_of(key) if before is None else before.caller
            caller.until = float("inf") if key.seconds_left is None else now + key.seconds_left
            known[key.id] = _CopiedKey(caller, key.hash, _public_key_of(key))
        for gone in self._known.values():
            gone.caller.ended.set()
        self._known = known
        self._noted = {id_: at for id_, at in self._noted.items() if id_ in known}


def _public_key_of(key: ValidKey) -> Ed25519PublicKey | None:
    """None also for a text in the database that is no such key: it opens nothing, and the other keys go on."""
    if key.public_key is None:
        return None
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - as above

    try:
        return cast("Ed25519PublicKey", load_pem_public_key(key.public_key.encode()))
    except (ValueError, UnsupportedAlgorithm):
        return None


def open_ring(settings: Settings, home: HomeKey | None, *, has_database: bool) -> KeyRing | None:
    """The ring of a daemon; None where no keys are needed. Without a database it knows those of the settings only."""
    if not settings.require_keys:
        return None
    if has_database:
        return KeyRing(home, tokens=_tokens(settings))
    key = settings.payment_key
    fixed = [(key.get_secret_value(), Caller("orderdeck", Role.ADMIN))] if key is not None else []
    return KeyRing(home, fixed, has_database=False)


def _tokens(settings: Settings) -> AccessTokens | None:
    if not settings.oidc_issuer:
        return None
    from daemons.process.access_tokens import AccessTokens  # noqa: PLC0415 - only who has an issuer needs its library

    return AccessTokens(settings)


async def know_keys(ring: KeyRing, settings: Settings, vitals: Vitals) -> None:
    """Keep the ring up to date until cancelled."""
    from core.bootstrap_callers import open_api_keys  # noqa: PLC0415 - the payment sandbox has no database

    async with open_api_keys(settings, name=vitals.name) as keys:
        await ring.keep(keys, vitals)


def _caller_of(key: ValidKey) -> Caller:
    return Caller(
        key.caller, key.role, key_id=key.id, routes=tuple(key.routes), speaks_for_others=key.speaks_for_others
    )
