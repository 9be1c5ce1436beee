"""Queries about sagas: lists of those that match, and one saga with its steps and events."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, get_args
from uuid import UUID

from litestar import get
from litestar.params import FromQuery, QueryParameter
from litestar.types import ASGIApp
from msgspec.structs import asdict

from core import codec
from core.errors import NotFound
from core.ports.saga_lists import SagaPlace, SagaSearch, SagaSort, SagaState, SagaStatusName, SagaSummary
from daemons.http.openapi import answers
from daemons.query_api.answers import SagaDetail, Sagas
from daemons.query_api.cursors import ends, place
from daemons.query_api.open_items import ReadSaga, read_saga, still_open
from daemons.query_api.parameters import (
    CursorText,
    IdInPath,
    Limit,
    PayloadShape,
    Several,
    SeveralIds,
    Text,
    a_uuid,
    several,
    several_uuids,
)
from daemons.query_api.reads import Reads
from daemons.query_api.response import json_response

STATUSES: tuple[SagaStatusName, ...] = get_args(SagaStatusName)
STATES: tuple[SagaState, ...] = get_args(SagaState)
MOST_EVENTS = 1_000
State = Annotated[
    str | None,
    QueryParameter(name="state", min_length=1, max_length=1_000, description="One, or several with commas between."),
]


@get("/api/v1/sagas", responses=answers(Sagas, 409, 503))
async def some_sagas(
    queries: Reads,
    status: Several = None,
    saga_state: State = None,
    saga_id: SeveralIds = None,
    order_id: FromQuery[UUID | None] = None,
    name: Text = None,
    error: Text = None,
    sort: FromQuery[SagaSort] = "-started_at",
    cursor: CursorText = None,
    limit: Limit = 20,
) -> ASGIApp:
    """Sagas that match, newest first. A state says what an unfinished one is at; one that has ended has none.

    But it is `expiring` if its order is not shipped, and the authorisation of its money ends within a day or has ended.
    Sorted by `-at_risk`, those with the most money open come first, and those that have nothing to settle are left out.
    """
    start: SagaPlace | None = None
    backwards = False
    if cursor is not None:
        start, backwards = place(cursor, sort)
    page = await queries.sagas(
        SagaSearch(
            statuses=several("status", status, STATUSES),
            states=several("state", saga_state, STATES),
            saga_ids=several_uuids("saga_id", saga_id),
            order_id=order_id,
            name=name,
            error=error,
            sort=sort,
            start=start,
            backwards=backwards,
            limit=limit,
        )
    )
    places = [(getattr(saga, sort.removeprefix("-")), saga.saga_id) for saga in page.sagas]
    first, last = (places[0], places[-1]) if places else (None, None)
    if page.reached is not None:
        first, last = (page.reached, last) if backwards else (first, page.reached)
    cursors = ends(sort, first, last, more=page.more, start=start is not None, backwards=backwards)
    all_found = await asyncio.gather(*(read_saga(queries, asdict(saga)) for saga in page.sagas))
    shown = [_shown(found, asdict(saga)) for found, saga in zip(all_found, page.sagas, strict=True)]
    return json_response(codec.json({"sagas": shown, **cursors}))


@get("/api/v1/sagas/{saga_id:str}", responses=answers(SagaDetail, 404, 409, 503))
async def one_saga(queries: Reads, saga_id: IdInPath, shape: PayloadShape = "latest") -> ASGIApp:
    """A saga with its events, and its lanes: each step beside what undoes it, with every try and what is open.

    The words of a lane are those of the table that the saga started with.
    """
    id_ = a_uuid("saga_id", saga_id)
    saga = await queries.saga(id_)
    if saga is None:
        raise NotFound("saga", saga_id)
    events = await queries.events_of_stream(id_, after=0, limit=MOST_EVENTS)
    found = await read_saga(queries, asdict(saga))
    envelopes = [event.envelope(shape) for event in events]
    lanes = found.fold.lanes(found.order)
    return json_response(codec.json({**_shown(found, asdict(saga)), "lanes": lanes, "events": envelopes}))


@get("/api/v1/sagas/summary", responses=answers(SagaSummary, 409, 503))
async def summary(queries: Reads) -> ASGIApp:
    """How many sagas have not ended, by state and status, their open money by currency, and their last errors.

    No more than 10,000 of each kind are counted; `capped` says that there are more.
    """
    return json_response(codec.json(await queries.saga_summary()))


ROUTES = (some_sagas, one_saga, summary)


def _shown(found: ReadSaga, saga: dict[str, Any]) -> dict[str, Any]:
    about = (found.fold.progress.about or None) if found.fold.progress else None
    return {**saga, "about": about, "steps": found.fold.steps(), "open": still_open(found, saga)}
