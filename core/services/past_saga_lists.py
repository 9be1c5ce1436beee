"""Past saga lists: which sagas there were at a moment, what they were at, and what all unfinished ones had open."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import msgspec

from core.domain.money import exact
from core.errors import FieldError, InvalidInput
from core.ports.saga_lists import (
    SagaErrors,
    SagaListing,
    SagaPage,
    SagaSearch,
    SagaState,
    SagaStatusName,
    SagaSummary,
)
from core.ports.sagas import Backlog

MOST_UNFINISHED = 1_000  # sagas of a moment that are looked at, the newest ones
MOST_PAGES = 10  # of today's list that are read for one page of the past
MOST_ERRORS = 20
LONGEST_ERROR = 300
FINISHED: tuple[SagaStatusName, ...] = ("COMPLETED", "COMPENSATED", "RESOLVED")
UNFINISHED: tuple[SagaStatusName, ...] = ("RUNNING", "COMPENSATING", "FAILED")
NOTHING_WAITS = Backlog(due=0, due_for=0.0, unstarted=0, unstarted_for=0.0)
LAST_ID = UUID(int=2**128 - 1)  # comes after every other id that a saga has
_ID_OR_NUMBER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+(?:[.,:][0-9]+)*")

FoldSaga = Callable[[UUID], Awaitable[SagaListing | None]]


class PastSagaLists:
    """Today's rows say which sagas there were, since none is ever removed; each is folded up to the moment `at`.

    `fold` makes one saga's row as of the moment, `today` reads a page of today's list, and `changing` the ids of those
    that had begun by then and may not have ended, newest first, at most so many.
    """

    def __init__(
        self,
        at: datetime,
        fold: FoldSaga,
        today: Callable[[SagaSearch], Awaitable[SagaPage]],
        changing: Callable[[datetime, int], Awaitable[Sequence[UUID]]],
    ) -> None:
        self._at = at
        self._fold = fold
        self._today = today
        self._changing = changing

    async def page(self, search: SagaSearch) -> SagaPage:
        if search.states == ("expiring",):
            why = "an end of an authorisation is known for one saga of the past, and not for the list of all"
            raise InvalidInput([FieldError("state", why)])
        filtered = search.statuses or search.states or search.error or search.sort == "-at_risk"
        found: dict[UUID, SagaListing] = {}
        if filtered:
            found |= {saga.saga_id: saga for saga in (await self._unfinished())[0] if fits(saga, search)}
        ended: tuple[SagaStatusName, ...] = tuple(status for status in search.statuses if status in FINISHED)
        if not filtered or (ended and not search.states and not search.error and search.sort != "-at_risk"):
            found |= {saga.saga_id: saga for saga in await self._of_today(search, ended) if fits(saga, search)}
        sort = search.sort.removeprefix("-")
        places = sorted(((getattr(saga, sort), id_) for id_, saga in found.items()), reverse=True)
        if search.start is not None:
            start: Any = search.start
            places = [place for place in places if (place > start if search.backwards else place < start)]
        more = len(places) > search.limit
        places = places[-search.limit :] if search.backwards else places[: search.limit]
        return SagaPage([found[id_] for _, id_ in places], more=more)

    async def summary(self) -> SagaSummary:
        sagas, capped = await self._unfinished()
        sagas = [saga for saga in sagas if saga.status in UNFINISHED]
        states: dict[Any, int] = dict.fromkeys(get_args(SagaState), 0)
        statuses: dict[Any, int] = dict.fromkeys(UNFINISHED, 0)
        at_risk: dict[SagaState, dict[str, Decimal]] = {}
        money_open: dict[str, Decimal] = {}
        errors: defaultdict[str, list[SagaListing]] = defaultdict(list)
        for saga in sagas:
            statuses[saga.status] += 1
            if saga.last_error:
                errors[_ID_OR_NUMBER.sub("#", saga.last_error[:LONGEST_ERROR])].append(saga)
            if saga.state is None:
                continue
            states[saga.state] += 1
            if saga.currency and saga.open_amount:
                for sums in (money_open, at_risk.setdefault(saga.state, {})):
                    sums[saga.currency] = exact(sums.get(saga.currency, Decimal(0)) + saga.open_amount, saga.currency)
        return SagaSummary(
            states=states,
            statuses=statuses,
            money_open=money_open,
            at_risk=at_risk,
            errors=[_together(error, failing) for error, failing in _most_first(errors)],
            capped=capped,
            backlog=NOTHING_WAITS,
        )

    async def _unfinished(self) -> tuple[list[SagaListing], bool]:
        """Those that had begun and may not have ended, as they were, and whether there were more."""
        ids = await self._changing(self._at, MOST_UNFINISHED + 1)
        folded = await asyncio.gather(*map(self._fold, ids[:MOST_UNFINISHED]))
        return [saga for saga in folded if saga is not None], len(ids) > MOST_UNFINISHED

    async def _of_today(self, search: SagaSearch, statuses: Sequence[SagaStatusName]) -> list[SagaListing]:
        """As many as a page needs of those that are in today's list, as they were."""
        wider = msgspec.structs.replace(
            search,
            statuses=statuses,
            start=search.start or (self._at, LAST_ID),
            limit=search.limit + 1,
        )
        found = list[SagaListing]()
        for _ in range(MOST_PAGES):
            page = await self._today(wider)
            folded = await asyncio.gather(*(self._fold(row.saga_id) for row in page.sagas))
            found += [saga for saga in folded if saga is not None]
            if len(found) > search.limit or not page.more or not page.sagas:
                break
            edge = page.sagas[0] if search.backwards else page.sagas[-1]
            wider = msgspec.structs.replace(wider, start=(edge.started_at, edge.saga_id))
        return found


def fits(saga: SagaListing, search: SagaSearch) -> bool:
    return (
        (not search.statuses or saga.status in search.statuses)
        and (not search.states or saga.state in search.states)
        and (search.name is None or saga.name.startswith(search.name))
        and (search.error is None or search.error.lower() in (saga.last_error or "").lower())
        and (search.error is None or saga.status in UNFINISHED)
        and (search.sort != "-at_risk" or saga.state is not None)
    )


def _most_first(errors: dict[str, list[SagaListing]]) -> list[tuple[str, list[SagaListing]]]:
    return sorted(errors.items(), key=lambda item: -len(item[1]))[:MOST_ERRORS]


def _together(error: str, failing: Sequence[SagaListing]) -> SagaErrors:
    last = max(failing, key=lambda saga: saga.updated_at)
    return SagaErrors(
        error=error,
        count=len(failing),
        saga_id=last.saga_id,
        since=min(saga.updated_at for saga in failing),
        until=last.updated_at,
    )
