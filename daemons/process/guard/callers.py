"""Callers: who asks, as far as a key has shown it, and the refusals of those who may not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.api_keys import Role
from daemons.process.guard.refusals import Refusal
from daemons.process.guard.roles import role_for

CALLER = "orderdeck.caller"  # the key in a request's scope; it is missing where no keys are needed
OPEN = frozenset({"/health"})  # the paths that are answered without a key
# The codes of the refusals of a key, or of a signature, that opens nothing.
NOT_VALID = "key_not_valid"
SIGNATURE_NOT_VALID, SIGNATURE_INCOMPLETE, SIGNATURE_USED = (
    "signature_not_valid",
    "signature_incomplete",
    "signature_used",
)
FAILED_SIGN_INS = frozenset({NOT_VALID, SIGNATURE_NOT_VALID, SIGNATURE_INCOMPLETE, SIGNATURE_USED})
CHALLENGE = 'Bearer realm="orderdeck"'
LOOK_EVERY = 1.0  # seconds between two looks whether a key has expired, on which a live stream was opened


@dataclass(eq=False)
class Caller:
    """`until`: when the key expires, by the monotonic clock. `ended` is set when the key is revoked."""

    name: str
    role: Role
    key_id: str = ""
    routes: tuple[str, ...] = ()
    speaks_for_others: bool = False
    until: float = float("inf")
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def valid(self) -> bool:
        return not self.ended.is_set() and time.monotonic() < self.until

    async def until_ended(self) -> None:
        """Return when the key is revoked or has expired, at most LOOK_EVERY later."""
        while self.valid:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), LOOK_EVERY)

    def check(self, method: str, route: str) -> None:
        """Raise a Refusal (403) unless the caller may ask for this route, such as `/api/v1/orders/{order_id}`."""
        needed = role_for(method, route)
        if not self.role.covers(needed):
            raise Refusal(403, "role_too_low", f"this needs the role {needed}, and {self.name} has {self.role}")
        if self.routes and not any(_fits(each, method, route) for each in self.routes):
            raise Refusal(403, "route_not_allowed", f"the key of {self.name} is not for {method} {route}")


class Door(Protocol):
    """Knows the callers of a service by what they show."""

    async def admit(self, authorization: bytes | None, port: int) -> Caller:
        """The caller who shows this header at this port of ours; raises a Refusal (401, 503)."""
        ...

    async def admit_signed(self, scope: Any, receive: Any) -> tuple[Caller, Any]:
        """The caller who has signed this request, and a `receive` with its body; raises a Refusal (401, 503)."""
        ...


def check_caller(scope: Any, method: str, route: str) -> None:
    """Raise a Refusal unless the caller of this request may ask for this route; without keys everybody may."""
    caller: Caller | None = scope.get(CALLER)
    if caller is not None:
        caller.check(method, route)


def no_key() -> Refusal:
    detail = "this needs a key: send it as `Authorization: Bearer od_…`, or sign the request"
    return Refusal(401, "key_missing", detail, {"WWW-Authenticate": CHALLENGE})


def wrong_key() -> Refusal:
    detail = "this key is not known here, is revoked, or has expired"
    return Refusal(401, NOT_VALID, detail, {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'})


def no_signature() -> Refusal:
    detail = "a key without a secret opens nothing by itself: sign the request (Signature-Input, Signature)"
    return Refusal(401, SIGNATURE_INCOMPLETE, detail, {"WWW-Authenticate": CHALLENGE})


def _fits(allowed: str, method: str, route: str) -> bool:
    wanted, _, path = allowed.partition(" ")
    if wanted not in ("*", method):
        return False
    return route.startswith(path[:-1]) if path.endswith("*") else route == path
