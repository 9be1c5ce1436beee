"""The keys of callers. Nobody can read a key from here: what is stored is a hash of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from core.api_keys import MadeKey, Role
from core.ports.audit import AuditEntry


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a key allows. `routes` are all that it may ask for, as in `GET /api/v1/orders*`; none: all of its role.

    `speaks_for_others`: whether events name whom its caller names as their author, or the caller itself. `public_key`:
    Ed25519, PEM, of a caller who signs each request; None: the caller shows a secret.
    """

    caller: str
    role: Role
    speaks_for_others: bool = False
    routes: tuple[str, ...] = ()
    public_key: str | None = None


class ApiKey(KeyTerms, frozen=True, kw_only=True):
    """A key without its secret. `state` is valid, expired or revoked; `last_used_at` is to the minute."""

    id: str
    state: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None


class ValidKey(KeyTerms, frozen=True, kw_only=True):
    """What a service checks a key against. `seconds_left`: until it expires; None: never."""

    id: str
    hash: bytes | None
    seconds_left: float | None


class ApiKeys(Protocol):
    """The methods raise Unavailable and DatabaseFault."""

    async def changes(self) -> int:
        """A number that grows whenever a key is made, revoked or given an end."""
        ...

    async def valid(self) -> Sequence[ValidKey]: ...

    async def all(self) -> Sequence[ApiKey]:
        """Every key there ever was, the newest first, at most MOST_LISTED."""
        ...

    async def one(self, id_: str) -> ApiKey | None: ...

    async def add(
        self, terms: KeyTerms, made: MadeKey, entry: AuditEntry, *, lasts: timedelta | None, by: str
    ) -> ApiKey | None:
        """Store a key, and with it who made it in the audit. None: its caller has two valid ones already."""
        ...

    async def end_within(self, id_: str, time: timedelta) -> None:
        """Have a key expire after this time, or earlier if it does so anyway."""
        ...

    async def revoke(self, id_: str, entry: AuditEntry, *, by: str) -> bool:
        """Revoke a key for good, and record that in the audit. False: it is revoked already; nothing is recorded."""
        ...

    async def note_used(self, ids: Iterable[str]) -> None:
        """Note that these keys were used just now."""
        ...

    async def use_nonce(self, id_: str, nonce: str, time: timedelta) -> bool:
        """Remember for this time that a signature of this key had this nonce. False: one before it had it too."""
        ...

    async def forget_nonces(self) -> None:
        """Forget those whose time is over."""
        ...


MOST_LISTED = 1_000
