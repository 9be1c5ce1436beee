"""Sagas: which there are and what state they are in, and one with its steps and events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath
from msgspec.structs import asdict

from core import codec
from core.codec import UNREADABLE, StoredEvent
from core.errors import NotFound
from core.ports.log import EventStore
from core.ports.queries import Queries, SagaPlace, SagaSearch, SagaState, SagaStatusName
from core.sagas.progress import Progress, evolve
from daemons.query_api.answers import SagaDetail, Sagas
from daemons.query_api.cursors import ends, place
from daemons.query_api.open_items import still_open
from daemons.query_api.operations import query
from daemons.query_api.parameters import AnyRequest, CursorText, Limit, NoParameters, Parameters, a_uuid, parameters
from daemons.query_api.response import json_response

SORT = "-started_at"
MOST_EVENTS = 1_000


class SomeSagas(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: SagaStatusName | None = None
    state: SagaState | None = None
    order_id: UUID | None = None
    cursor: CursorText | None = None
    limit: Limit = 20


@get("/api/v1/sagas", operation_class=query(SomeSagas, Sagas))
async def some_sagas(request: AnyRequest) -> Response[bytes]:
    """Sagas that match, newest first. A state says what an unfinished one is at; one that has ended has none."""
    queries: Queries = request.app.state["queries"]
    store: EventStore = request.app.state["store"]
    given = parameters(request, SomeSagas)
    start: SagaPlace | None = None
    backwards = False
    if given.cursor is not None:
        start, backwards = place(given.cursor, SORT)
    page = await queries.sagas(
        SagaSearch(
            status=given.status,
            state=given.state,
            order_id=given.order_id,
            start=start,
            backwards=backwards,
            limit=given.limit,
        )
    )
    places = [(saga.started_at, saga.saga_id) for saga in page.sagas]
    first, last = (places[0], places[-1]) if places else (None, None)
    cursors = ends(SORT, first, last, more=page.more, start=start is not None, backwards=backwards)
    shown = await asyncio.gather(*(_with_open_items(store, asdict(saga)) for saga in page.sagas))
    return json_response(codec.json({"sagas": shown, **cursors}))


@get("/api/v1/sagas/{saga_id:str}", operation_class=query(NoParameters, SagaDetail, 404, path=("saga_id",)))
async def one_saga(request: AnyRequest, saga_id: FromPath[str]) -> Response[bytes]:
    """A saga with its events, and how far each of its steps has come."""
    queries: Queries = request.app.state["queries"]
    store: EventStore = request.app.state["store"]
    parameters(request, NoParameters)
    id_ = a_uuid("saga_id", saga_id)
    saga = await queries.saga(id_)
    if saga is None:
        raise NotFound("saga", saga_id)
    events = await queries.events_of_stream(id_, after=0, limit=MOST_EVENTS)
    shown = await _with_open_items(store, asdict(saga))
    envelopes = [event.envelope() for event in events]
    return json_response(codec.json({**shown, "steps": _steps(events), "events": envelopes}))


async def _with_open_items(store: EventStore, saga: dict[str, Any]) -> dict[str, Any]:
    return {**saga, "open": await still_open(store, saga)}


def _steps(events: Sequence[StoredEvent]) -> dict[str, str]:
    """How far each step has come, by the events that this release can read."""
    progress: Progress | None = None
    for event in events:
        with suppress(*UNREADABLE):
            recorded = event.recorded()
            progress = evolve(progress, recorded.event, recorded.recorded_at)
    return {name: str(status) for name, status in progress.steps.items()} if progress else {}
