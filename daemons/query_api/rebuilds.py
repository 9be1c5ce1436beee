"""The query that lists the generations of read models: those that are being made, that is read, and that are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import get
from litestar.datastructures import State
from litestar.types import ASGIApp
from msgspec import Struct

from core import codec
from core.ports.generations import Generation, Generations, Purpose
from core.ports.generations import State as GenerationState
from daemons.http.openapi import answers
from daemons.query_api.response import json_response

LISTED = 50


class RebuildRow(Struct, kw_only=True):
    """A generation of the read models of a group.

    `position` of `end` is how far it is filled, `rate` its events a second lately, `seconds_left` as that rate gives
    it. `note` says what it waits for, or why it failed. `keep_until`: when it is dropped.
    """

    id: int
    group: str
    purpose: Purpose
    state: GenerationState
    revision: str
    position: int
    end: int
    rate: float
    seconds_left: float | None
    max_rate: int | None
    check: str
    note: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    keep_until: datetime | None


class RebuildList(Struct, kw_only=True):
    rebuilds: list[RebuildRow]


@get("/api/v1/admin/rebuilds", responses=answers(RebuildList, 503))
async def list_rebuilds(state: State) -> ASGIApp:
    """The newest generations of the read models, newest first: how far each is, or what became of it."""
    generations: Generations = state["generations"]
    rows = [_row(one) for one in await generations.newest(limit=LISTED)]
    return json_response(codec.json(RebuildList(rebuilds=rows)))


ROUTES = (list_rebuilds,)


def _row(one: Generation) -> RebuildRow:
    left = max(0, one.end - one.position)
    same: dict[str, Any] = {
        name: getattr(one, name)
        for name in (
            *("id", "purpose", "state", "revision", "position", "max_rate", "note", "requested_by", "requested_at"),
            *("started_at", "ended_at", "keep_until"),
        )
    }
    return RebuildRow(
        group=one.reader.rpartition(".")[2],
        end=max(one.end, one.position),
        rate=round(one.rate, 1),
        seconds_left=round(left / one.rate, 1) if one.unfinished and one.rate >= 1 else None,
        check="all" if one.check_all else "sample",
        **same,
    )
