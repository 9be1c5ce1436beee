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
from core.ports.saga_lists import (
    SagaErrors,
    SagaListing,
    SagaPage,
    SagaPlace,
    SagasBegun,
    SagaSearch,
    SagaState,
    SagaStatusName,
    SagaSummary,
)
from core.ports.sagas import Backlog

MOST_LOOKED_AT = 1_000  # sagas that are folded for one answer, about a second of work
MOST_ERRORS = 20
LONGEST_ERROR = 300
UNFINISHED: tuple[SagaStatusName, ...] = ("RUNNING", "COMPENSATING", "FAILED")
NOTHING_WAITS = Backlog(due=0, due_for=0.0, unstarted=0, unstarted_for=0.0)
_ID_OR_NUMBER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+(?:[.,:][0-9]+)*")

FoldSaga = Callable[[UUID], Awaitable[SagaListing | None]]


class PastSagaLists:
    """Today's rows say which sagas there were, since none is ever removed; each is folded up to the moment `at`.

    `fold` makes one saga's row as of the moment, `begun` finds today's rows of those that may fit, and `expiring` the
    ids of at most so many that had completed, and had an authorisation that was about to end.
    """

    def __init__(
        self,
        at: datetime,
        fold: FoldSaga,
        begun: Callable[[SagasBegun], Awaitable[Sequence[SagaPlace]]],
        expiring: Callable[[int], Awaitable[Sequence[UUID]]],
    ) -> None:
        self._at = at
        self._fold = fold
        self._begun = begun
        self._expiring = expiring

    async def page(self, search: SagaSearch) -> SagaPage:
        """A page by age is not full when too few of the sagas that were looked at fit: the next one goes on there."""
        if search.sort == "-at_risk":
            return await self._by_risk(search)
        wanted = await self._wanted(search)
        found = list[SagaListing]()
        looked_at, count = 0, search.limit + 1
        while True:
            wanted = msgspec.structs.replace(wanted, limit=min(count, MOST_LOOKED_AT - looked_at))
            places = await self._begun(wanted)
            found += [saga for saga in await self._folded(places) if fits(saga, search)]
            looked_at += len(places)
            at_end = len(places) < wanted.limit
            if len(found) > search.limit or at_end or looked_at >= MOST_LOOKED_AT:
                break
            wanted, count = msgspec.structs.replace(wanted, start=places[-1]), 2 * count
        full = len(found) > search.limit
        page = found[: search.limit]
        return SagaPage(
            page[::-1] if search.backwards else page,
            more=full or not at_end,
            reached=None if full or at_end else places[-1],
        )

    async def summary(self) -> SagaSummary:
        sagas, capped = await self._unsettled(SagaSearch())
        states: dict[Any, int] = dict.fromkeys(get_args(SagaState), 0)
        statuses: dict[Any, int] = dict.fromkeys(UNFINISHED, 0)
        at_risk: dict[SagaState, dict[str, Decimal]] = {}
        money_open: dict[str, Decimal] = {}
        errors: defaultdict[str, list[SagaListing]] = defaultdict(list)
        for saga in sagas:
            if saga.status in statuses:
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

    async def _by_risk(self, search: SagaSearch) -> SagaPage:
        """What a saga had open is known when it is folded, so all of them are, but no more than MOST_LOOKED_AT."""
        sagas, _ = await self._unsettled(search)
        found = {saga.saga_id: saga for saga in sagas if fits(saga, search)}
        places = sorted(((saga.at_risk, id_) for id_, saga in found.items()), reverse=True)
        if search.start is not None:
            start: Any = search.start
            places = [place for place in places if (place > start if search.backwards else place < start)]
        more = len(places) > search.limit
        places = places[-search.limit :] if search.backwards else places[: search.limit]
        return SagaPage([found[id_] for _, id_ in places], more=more)

    async def _unsettled(self, search: SagaSearch) -> tuple[list[SagaListing], bool]:
        """The newest that may have had something to settle, as they were, and whether there were more."""
        wanted = await self._wanted(msgspec.structs.replace(search, states=search.states or get_args(SagaState)))
        places = await self._begun(
            msgspec.structs.replace(wanted, start=None, backwards=False, limit=MOST_LOOKED_AT + 1)
        )
        return await self._folded(places[:MOST_LOOKED_AT]), len(places) > MOST_LOOKED_AT

    async def _wanted(self, search: SagaSearch) -> SagasBegun:
        """Which of today's rows may fit. One that had ended at the moment has the same status today."""
        every = not (search.statuses or search.states or search.error)
        unfinished = every
        ended: Sequence[SagaStatusName] = ()
        expiring: Sequence[UUID] = ()
        if search.error is not None:
            unfinished = True
        elif search.states:
            unfinished = any(state != "expiring" for state in search.states)
            expiring = await self._expiring(MOST_LOOKED_AT + 1) if "expiring" in search.states else ()
        elif search.statuses:
            unfinished = any(status in UNFINISHED for status in search.statuses)
            ended = [status for status in search.statuses if status not in UNFINISHED]
        return SagasBegun(
            by=self._at,
            every=every,
            unfinished=unfinished,
            ended=ended,
            expiring=expiring,
            saga_ids=search.saga_ids,
            order_id=search.order_id,
            name=search.name,
            start=search.start,
            backwards=search.backwards,
        )

    async def _folded(self, places: Sequence[SagaPlace]) -> list[SagaListing]:
        folded = await asyncio.gather(*(self._fold(saga_id) for _, saga_id in places))
        return [saga for saga in folded if saga is not None]


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
