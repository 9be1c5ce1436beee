"""Queries about sagas: lists of those that match, and one saga with its steps and events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromQuery, QueryParameter
from msgspec.structs import asdict

from core import codec
from core.codec import UNREADABLE, StoredEvent
from core.errors import NotFound
from core.ports.log import EventStore
from core.ports.queries import Queries, SagaPlace, SagaSearch, SagaState, SagaStatusName
from core.sagas.progress import Progress, evolve
from daemons.http.openapi import answers
from daemons.query_api.answers import SagaDetail, Sagas
from daemons.query_api.cursors import ends, place
from daemons.query_api.open_items import still_open
from daemons.query_api.parameters import (
    AnyRequest,
    CursorText,
    IdInPath,
    Limit,
    a_uuid,
)
from daemons.query_api.response import json_response

SORT = "-started_at"
MOST_EVENTS = 1_000


@get("/api/v1/sagas", responses=answers(Sagas, 503))
async def some_sagas(
    request: AnyRequest,
    status: FromQuery[SagaStatusName | None] = None,
    saga_state: Annotated[SagaState | None, QueryParameter(name="state")] = None,
    order_id: FromQuery[UUID | None] = None,
    cursor: CursorText = None,
    limit: Limit = 20,
) -> Response[bytes]:
    """Sagas that match, newest first. A state says what an unfinished one is at; one that has ended has none.

    But it is `expiring` if its order is not shipped, and the authorisation of its money ends within a day or has ended.
    """
    queries: Queries = request.app.state["queries"]
    store: EventStore = request.app.state["store"]
    start: SagaPlace | None = None
    backwards = False
    if cursor is not None:
        start, backwards = place(cursor, SORT)
    page = await queries.sagas(
        SagaSearch(
            status=status,
            state=saga_state,
            order_id=order_id,
            start=start,
            backwards=backwards,
            limit=limit,
        )
    )
    places = [(saga.started_at, saga.saga_id) for saga in page.sagas]
    first, last = (places[0], places[-1]) if places else (None, None)
    cursors = ends(SORT, first, last, more=page.more, start=start is not None, backwards=backwards)
    shown = await asyncio.gather(*(_with_open_items(store, asdict(saga)) for saga in page.sagas))
    return json_response(codec.json({"sagas": shown, **cursors}))


@get("/api/v1/sagas/{saga_id:str}", responses=answers(SagaDetail, 404, 503))
async def one_saga(request: AnyRequest, saga_id: IdInPath) -> Response[bytes]:
    """A saga with its events, and how far each of its steps has come."""
    queries: Queries = request.app.state["queries"]
    store: EventStore = request.app.state["store"]
    id_ = a_uuid("saga_id", saga_id)
    saga = await queries.saga(id_)
    if saga is None:
        raise NotFound("saga", saga_id)
    events = await queries.events_of_stream(id_, after=0, limit=MOST_EVENTS)
    shown = await _with_open_items(store, asdict(saga))
    envelopes = [event.envelope() for event in events]
    return json_response(codec.json({**shown, "steps": _steps(events), "events": envelopes}))


ROUTES = (some_sagas, one_saga)


async def _with_open_items(store: EventStore, saga: dict[str, Any]) -> dict[str, Any]:
    return {**saga, "open": await still_open(store, saga)}


def _steps(events: Sequence[StoredEvent]) -> dict[str, str]:
    """How far each step has come; events that this release cannot read are left out."""
    progress: Progress | None = None
    for event in events:
        with suppress(*UNREADABLE):
            recorded = event.recorded()
            progress = evolve(progress, recorded.event, recorded.recorded_at)
    return {name: str(status) for name, status in progress.steps.items()} if progress else {}
