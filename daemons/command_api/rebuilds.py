"""The commands on read models: an operator has a group made anew, gives that up, or goes back to those of before."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.types import ASGIApp
from msgspec import Meta

from core.bootstrap import App
from core.services.rebuilds import RebuildDesk, RebuildWish, act_on_group
from daemons.command_api.operations import command
from daemons.command_api.shapes import render
from daemons.command_api.terms import AnyRequest, CommandRequest

PATH = "/api/v1/admin/rebuilds"

GroupName = Annotated[str, Meta(min_length=1, max_length=40, description="`orders` or `stock`.")]
Why = Annotated[str, Meta(max_length=500, description="Why; kept with the name of whoever asked.")]


class RebuildBody(msgspec.Struct, frozen=True, kw_only=True):
    """`max_rate`: at most so many events a second. `check`: whether a sample or all rows are compared with the log."""

    group: GroupName
    reason: Why = ""
    max_rate: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    check: Literal["sample", "all"] = "sample"


class RebuildActBody(msgspec.Struct, frozen=True, kw_only=True):
    group: GroupName
    reason: Why = ""


class RebuildAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The act is recorded; `GET /api/v1/admin/rebuilds` of the query API says how far it is."""

    group: str
    wish: str
    version: int
    position: int


@post(PATH, **command(RebuildBody, RebuildAnswer))
async def start_rebuild(request: AnyRequest, state: State) -> ASGIApp:
    """Fill the read models of a group anew beside those that are read, and put them in their place.

    If that is under way already, nothing more is begun.
    """
    sent = CommandRequest(request)
    body = await sent.body(RebuildBody)
    outcome = await act_on_group(
        _desk(state),
        body.group,
        RebuildWish.START,
        body.reason,
        sent.terms(f"POST {PATH}", body),
        max_rate=body.max_rate,
        check_all=body.check == "all",
    )
    return render(outcome)


@post(f"{PATH}/cancel", **command(RebuildActBody, RebuildAnswer))
async def cancel_rebuild(request: AnyRequest, state: State) -> ASGIApp:
    """Give up the rebuild of a group that is under way. What is read stays as it is."""
    return await _act(request, state, RebuildWish.CANCEL)


@post(f"{PATH}/switch-back", **command(RebuildActBody, RebuildAnswer))
async def switch_back(request: AnyRequest, state: State) -> ASGIApp:
    """Bring the read models of before the last rebuild up to date, and read them again."""
    return await _act(request, state, RebuildWish.SWITCH_BACK)


@post(f"{PATH}/drop-old", **command(RebuildActBody, RebuildAnswer))
async def drop_old(request: AnyRequest, state: State) -> ASGIApp:
    """Throw the read models of before the last rebuild away, which are kept for 24 hours otherwise."""
    return await _act(request, state, RebuildWish.DROP_OLD)


ROUTES = (start_rebuild, cancel_rebuild, switch_back, drop_old)


async def _act(request: AnyRequest, state: State, wish: RebuildWish) -> ASGIApp:
    sent = CommandRequest(request)
    body = await sent.body(RebuildActBody)
    return render(
        await act_on_group(_desk(state), body.group, wish, body.reason, sent.terms(f"POST {PATH}/{wish}", body))
    )


def _desk(state: State) -> RebuildDesk:
    app: App = state["app"]
    return RebuildDesk(app.store, state["generations"], app.clock)
