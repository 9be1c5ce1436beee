"""Sagas: which there are and what state they are in, and one with its steps and events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath

from core import codec
from core.adapters.postgres.queries.log import events_of_stream
from core.adapters.postgres.queries.sagas import page_of_sagas, saga
from core.codec import UNREADABLE, StoredEvent
from core.errors import NotFound
from core.sagas.progress import Progress, evolve
from daemons.query_api.answers import SagaDetail, Sagas, SagaStatus, State
from daemons.query_api.cursors import ends, place
from daemons.query_api.desk import Desk
from daemons.query_api.open_items import still_open
from daemons.query_api.operations import query
from daemons.query_api.orders import answer
from daemons.query_api.parameters import AnyRequest, Cursor, Limit, NoParameters, Parameters, a_uuid, parameters

SORT = "-started_at"
MOST_EVENTS = 1_000


class SomeSagas(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: SagaStatus | None = None
    state: State | None = None
    order_id: UUID | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


@get("/api/v1/sagas", operation_class=query(SomeSagas, Sagas))
async def some_sagas(request: AnyRequest) -> Response[bytes]:
    """Sagas that match, newest first. A state says what an unfinished one is at; one that has ended has none."""
    desk: Desk = request.app.state["desk"]
    asked = parameters(request, SomeSagas)
    wanted: dict[str, Any] = {"status": asked.status, "state": asked.state, "order_id": asked.order_id}
    where = {name: value for name, value in wanted.items() if value is not None}
    start: tuple[Any, UUID] | None = None
    backwards = False
    if asked.cursor is not None:
        start, backwards = place(asked.cursor, SORT)
    rows, more = await desk.read(lambda c: page_of_sagas(c, where, start=start, backwards=backwards, limit=asked.limit))
    places = [(row["started_at"], row["saga_id"]) for row in rows]
    first, last = (places[0], places[-1]) if places else (None, None)
    cursors = ends(SORT, first, last, more=more, start=start is not None, backwards=backwards)
    held = await asyncio.gather(*(still_open(desk.app.store, row) for row in rows))
    return answer(
        codec.json({"sagas": [{**row, "open": open_} for row, open_ in zip(rows, held, strict=True)], **cursors})
    )


@get("/api/v1/sagas/{saga_id:str}", operation_class=query(NoParameters, SagaDetail, 404, path=("saga_id",)))
async def one_saga(request: AnyRequest, saga_id: FromPath[str]) -> Response[bytes]:
    """A saga with its events, and how far each of its steps has come."""
    desk: Desk = request.app.state["desk"]
    parameters(request, NoParameters)
    id_ = a_uuid("saga_id", saga_id)
    row = await desk.read(lambda c: saga(c, id_))
    if row is None:
        raise NotFound("saga", saga_id)
    events = await desk.read(lambda c: events_of_stream(c, id_, after=0, limit=MOST_EVENTS))
    open_ = await still_open(desk.app.store, row)
    envelopes = [event.envelope() for event in events]
    return answer(codec.json({**row, "open": open_, "steps": _steps(events), "events": envelopes}))


def _steps(events: Sequence[StoredEvent]) -> dict[str, str]:
    """As far as this release can read them."""
    progress: Progress | None = None
    for event in events:
        with suppress(*UNREADABLE):
            recorded = event.recorded()
            progress = evolve(progress, recorded.event, recorded.recorded_at)
    return {name: str(status) for name, status in progress.steps.items()} if progress else {}
