"""The keys of callers, without their secrets, which are kept nowhere."""

from __future__ import annotations

from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp
from msgspec import Struct

from core import codec
from core.errors import NotFound
from core.ports.api_keys import ApiKey, ApiKeys
from daemons.http.openapi import answers
from daemons.query_api.response import json_response


class KeyList(Struct, kw_only=True):
    """The newest first. `last_used_at` is to the minute."""

    keys: list[ApiKey]


@get("/api/v1/admin/keys", responses=answers(KeyList, 503))
async def list_keys(state: State) -> ASGIApp:
    """Every key there ever was: whose it is, what it may, and whether it is valid, expired or revoked."""
    keys: ApiKeys = state["api_keys"]
    return json_response(codec.json(KeyList(keys=list(await keys.all()))))


@get("/api/v1/admin/keys/{id:str}", responses=answers(ApiKey, 404, 503))
async def show_key(state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """One key."""
    keys: ApiKeys = state["api_keys"]
    key = await keys.one(id)
    if key is None:
        raise NotFound("key", id)
    return json_response(codec.json(key))


ROUTES = (list_keys, show_key)
