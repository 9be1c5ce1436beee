"""The audit: who asked for what, from where, and what came of it. Rows are only added to it, as a chain of hashes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from core.printable import without_secrets

AuditOutcome = Literal["done", "refused", "failed"]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is recorded of one command, or of `times` equal ones.

    `caller`: whose key was shown; empty: nobody's. `on_behalf_of`: whom the caller named as the author. `status` is
    that of HTTP, and 0 for what did not come over HTTP. `event_position`: the last event that it recorded; 0: none.
    """

    action: str
    outcome: AuditOutcome
    caller: str = ""
    key_id: str = ""
    on_behalf_of: str = ""
    source: str = ""
    target: str = ""
    status: int = 0
    problem: str = ""
    request_id: str = ""
    event_position: int = 0
    times: int = 1
    detail: str = ""


class AuditRow(AuditEntry, frozen=True, kw_only=True, omit_defaults=False):
    """An entry as it was recorded. `hash` covers it and the hash of the row before."""

    position: int
    at: datetime
    hash: str


class AuditNote(msgspec.Struct, kw_only=True):
    """What is known of a command before it is decided. `kept`: its row is recorded, together with what it did.

    `status` is the one it is answered with when it succeeds.
    """

    action: str
    caller: str = ""
    key_id: str = ""
    on_behalf_of: str = ""
    source: str = ""
    target: str = ""
    request_id: str = ""
    status: int = 0
    detail: str = ""
    kept: bool = False

    def entry(
        self, outcome: AuditOutcome = "done", *, status: int | None = None, problem: str = "", target: str = ""
    ) -> AuditEntry:
        return AuditEntry(
            action=self.action,
            outcome=outcome,
            caller=without_secrets(self.caller),
            key_id=self.key_id,
            on_behalf_of=without_secrets(self.on_behalf_of),
            source=self.source,
            target=without_secrets(self.target or target),
            status=self.status if status is None else status,
            problem=problem,
            request_id=without_secrets(self.request_id),
            detail=without_secrets(self.detail),
        )


class AuditSearch(msgspec.Struct, frozen=True, kw_only=True):
    """The newest rows first, before the position `before`. `who` is a caller, or somebody on whose behalf it asked."""

    limit: int
    before: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    who: str | None = None
    source: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    request_id: str | None = None


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """`next_before` is where to go on; None: nothing is older. A page may be empty and still have one.

    `head` and `hash` are the position and the hash of the newest row of all; `cut` is the last that is no longer kept.
    """

    rows: Sequence[AuditRow]
    next_before: int | None
    head: int
    hash: str
    cut: int


class AuditTrail(Protocol):
    """The methods raise Unavailable and DatabaseFault."""

    async def record(self, entries: Sequence[AuditEntry]) -> int:
        """Add rows, all or none of them; returns the position of the last. After Unavailable they may be recorded."""
        ...

    async def page(self, search: AuditSearch) -> AuditPage: ...

    async def cut(self, age: timedelta) -> int:
        """Leave out the rows that are older, and record that. Returns how many these were."""
        ...
