"""The audit: who asked for what, from where, and what came of it, the newest first, read page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tui.gateway import Gateway, GatewayError
from tui.viewmodels.not_let_in import refused_as
from tui.wire import Count, Moment

PATH = "/api/v1/audit"
A_PAGE = 200
MOST = 1_000  # rows that are held
LOOKS = 4  # pages without a row that are asked for at once: the service looks at 50,000 rows for each


class AuditedAct(Struct, frozen=True):
    """A row of the audit."""

    position: Count
    at: Moment
    action: str
    outcome: str
    caller: str = ""
    key_id: str = ""
    on_behalf_of: str = ""
    source: str = ""
    target: str = ""
    status: Count = 0
    problem: str = ""
    request_id: str = ""
    event_position: Count = 0
    times: Count = 1
    detail: str = ""


class AuditedActs(Struct, frozen=True):
    rows: list[AuditedAct]
    next_before: Count | None = None
    head: Count = 0
    cut: Count = 0


class AuditModel:
    """`rows` are those that fit `asked`, the newest first; `older` is where to go on, None when nothing is older.

    `let_go`: rows that are newer than the first were dropped to make room for older ones. `refused` is the status with
    which the service refused to show the audit, and 0 while it shows it.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.asked: Mapping[str, str] = {}
        self.rows: list[AuditedAct] = []
        self.older: int | None = None
        self.head: int | None = None
        self.let_go = False
        self.error = ""
        self.refused = 0

    async def search(self, asked: Mapping[str, str]) -> None:
        """Forget the rows, and read the newest of those that fit."""
        self.asked, self.rows, self.older, self.head, self.let_go = asked, [], None, None, False
        await self._read_older(None)

    async def look(self) -> int:
        """Read the newest rows again. Returns how many were put before those that are held."""
        if self.head is None:
            await self._read_older(None)
            return 0
        if self.let_go:
            return 0
        page = await self._page(None)
        if page is None:
            return 0
        self.head = page.head
        first = self.rows[0].position if self.rows else None
        fresh = [row for row in page.rows if first is None or row.position > first]
        if first is None or (fresh and len(fresh) == len(page.rows) and page.next_before is not None):
            if fresh:  # what is between them and those that are held is not known, so these are the list now
                self.rows, self.older = fresh, page.next_before
            return 0
        self.rows = fresh + self.rows
        if len(self.rows) > MOST:
            del self.rows[MOST:]
            self.older = self.rows[-1].position
        return len(fresh)

    async def extend(self) -> int:
        """Read the next older rows. Returns how many of the newest were dropped to make room."""
        if self.older is not None:
            await self._read_older(self.older)
        gone = max(0, len(self.rows) - MOST)
        del self.rows[:gone]
        self.let_go |= gone > 0
        return gone

    async def _read_older(self, before: int | None) -> None:
        for _ in range(LOOKS):
            page = await self._page(before)
            if page is None:
                return
            self.rows += page.rows
            self.older, self.head = page.next_before, page.head
            before = page.next_before
            if page.rows or before is None:
                return

    async def _page(self, before: int | None) -> AuditedActs | None:
        """The rows of a page that come before a position, in their order, whatever else the service sends."""
        params = {**self.asked, "limit": str(A_PAGE)} | ({"before": str(before)} if before is not None else {})
        try:
            page = await self.gateway.read(PATH, AuditedActs, params)
        except GatewayError as error:
            self.error, self.refused = str(error), refused_as(error)
            if self.refused:
                self.rows, self.older, self.head = [], None, None
            return None
        self.error, self.refused = "", 0
        rows = _descending(page.rows[:A_PAGE], before)
        end = page.next_before
        further = end is not None and (before is None or end < before)
        return AuditedActs(rows, end if further else None, page.head, page.cut)


def _descending(rows: Sequence[AuditedAct], before: int | None) -> list[AuditedAct]:
    found: list[AuditedAct] = []
    for row in rows:
        if before is None or row.position < before:
            found.append(row)
            before = row.position
    return found
