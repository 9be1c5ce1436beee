"""The commands on snapshots: an admin has the kept states of streams forgotten. That is always safe: they are a cache.

They take no Idempotency-Key and no dry run, since they record no event and may be repeated at will.
"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp

from core import codec
from core.bootstrap import App
from core.domain.message import StreamId
from daemons.command_api.terms import AnyRequest, CommandRequest, NoBody, path_uuid
from daemons.http.openapi import answers
from daemons.http.reply import Reply

PATH = "/api/v1/admin/snapshots"
REFUSALS = (404, 413, 415, 503)


class SnapshotsForgotten(msgspec.Struct, frozen=True, kw_only=True):
    forgotten: int


@post(f"{PATH}/forget", status_code=200, responses=answers(SnapshotsForgotten, *REFUSALS))
async def forget_snapshots(request: AnyRequest, state: State) -> ASGIApp:
    """Forget every snapshot. Long streams are read from their first event again, until they have new ones."""
    await _read(request)
    app: App = state["app"]
    return _answer(await app.store.snapshots.forget_all())


@post(f"{PATH}/{{stream_id:str}}/forget", status_code=200, responses=answers(SnapshotsForgotten, *REFUSALS))
async def forget_snapshot(request: AnyRequest, state: State, stream_id: FromPath[str]) -> ASGIApp:
    """Forget the snapshot of one stream. `forgotten` is 0 if it has none."""
    await _read(request)
    app: App = state["app"]
    forgotten = await app.store.snapshots.forget(StreamId(path_uuid(stream_id, "stream_id")))
    return _answer(int(forgotten))


ROUTES = (forget_snapshots, forget_snapshot)


async def _read(request: AnyRequest) -> None:
    sent = CommandRequest(request)
    sent.refuse_dry_run()
    await sent.body(NoBody)


def _answer(forgotten: int) -> ASGIApp:
    return Reply(200, codec.json(SnapshotsForgotten(forgotten=forgotten)), {})
