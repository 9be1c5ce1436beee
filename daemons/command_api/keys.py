"""The commands on keys: an admin makes one for a caller, has it replaced, or revokes it.

They take no Idempotency-Key, since its answer would have to be kept, and a key is kept nowhere; and no dry run.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp
from msgspec import Meta
from msgspec.structs import asdict

from core import codec
from core.api_keys import Role
from core.ports.api_keys import ApiKey, KeyTerms
from core.services.api_keys import LONGEST_PEM, OVERLAP, ShownOnce, create_key, revoke_key, rotate_key, span_of
from daemons.command_api.terms import AnyRequest, CommandRequest, NoBody
from daemons.http.openapi import answers, reading
from daemons.http.reply import Reply

PATH = "/api/v1/admin/keys"
NOBODY = "somebody without a name"
REFUSALS = (404, 503)
PublicKey = Annotated[str, Meta(max_length=LONGEST_PEM, description="Ed25519, PEM.")]
Span = Annotated[str, Meta(max_length=40, description="Such as 90d, 12h or 1h30m.")]


class KeyBody(msgspec.Struct, frozen=True, kw_only=True):
    """Without `expires_in` the key does not expire; without `routes` it is for all that its role may ask for.

    With a `public_key` the key has no secret, and its caller signs each request.
    """

    caller: Annotated[str, Meta(max_length=60)]
    role: Role
    expires_in: Span | None = None
    routes: list[Annotated[str, Meta(max_length=210)]] = []
    speaks_for_others: bool = False
    public_key: PublicKey | None = None


class RotateBody(msgspec.Struct, frozen=True, kw_only=True):
    overlap: Span = OVERLAP
    public_key: PublicKey | None = None


class KeyMade(ApiKey, frozen=True, kw_only=True):
    """`key` is shown only now: it is kept nowhere. Of a caller who signs, it is the `keyid` to sign with."""

    key: str


@post(PATH, status_code=201, operation_class=reading(KeyBody), responses=answers({201: KeyMade}, *REFUSALS, 413, 415))
async def make_key(request: AnyRequest, state: State) -> ASGIApp:
    """Make a key for a caller, who may have two at a time."""
    sent = _sent(request)
    body = await sent.body(KeyBody)
    terms = KeyTerms(
        caller=body.caller,
        role=body.role,
        speaks_for_others=body.speaks_for_others,
        routes=tuple(body.routes),
        public_key=body.public_key,
    )
    lasts = None if body.expires_in is None else span_of("expires_in", body.expires_in)
    return _made(await create_key(state["api_keys"], terms, sent.note(), lasts=lasts, by=sent.actor() or NOBODY))


@post(
    f"{PATH}/{{id:str}}/rotate",
    status_code=201,
    operation_class=reading(RotateBody),
    responses=answers({201: KeyMade}, *REFUSALS, 413, 415),
)
async def replace_key(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Make a key in the place of this one, which stays valid beside it for the time of `overlap`."""
    sent = _sent(request)
    body = await sent.body(RotateBody)
    made = await rotate_key(
        state["api_keys"],
        id,
        sent.note(),
        overlap=span_of("overlap", body.overlap),
        by=sent.actor() or NOBODY,
        public_key=body.public_key,
    )
    return _made(made)


@post(f"{PATH}/{{id:str}}/revoke", status_code=200, responses=answers(ApiKey, *REFUSALS, 413, 415))
async def end_key(request: AnyRequest, state: State, id: FromPath[str]) -> ASGIApp:  # noqa: A002 - the path's name
    """Revoke a key for good. Every service that reaches the database refuses it when this answers."""
    sent = _sent(request)
    await sent.body(NoBody)
    key: Any = await revoke_key(state["api_keys"], id, sent.note(), by=sent.actor() or NOBODY)
    return Reply(200, codec.json(key), {})


ROUTES = (make_key, replace_key, end_key)


def _sent(request: AnyRequest) -> CommandRequest:
    sent = CommandRequest(request)
    sent.refuse_dry_run()
    return sent


def _made(made: ShownOnce) -> ASGIApp:
    return Reply(201, codec.json(KeyMade(**asdict(made.key), key=made.text)), {"Cache-Control": "no-store"})
