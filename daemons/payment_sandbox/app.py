"""The HTTP service of the payment sandbox: it has the ledger decide each request, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from litestar import Litestar, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp

from core.errors import NotFound
from daemons.http.bodies import T, read_body
from daemons.http.callers import check_role
from daemons.http.headers import one_header
from daemons.http.limits import receive_body
from daemons.http.openapi import WireTypes, openapi, reading
from daemons.http.problems import HANDLERS, RequestRefused
from daemons.http.straight import Straight
from daemons.payment_sandbox import methods
from daemons.payment_sandbox.charges import Authorise, ChargeAnswer, ChargeOutcome, ChargeRequest, SandboxCharge
from daemons.payment_sandbox.faults import DROPPED, Faults, FaultsBody, Switch, dropping
from daemons.payment_sandbox.ledger import Ledger
from daemons.payment_sandbox.operations import charging, shown
from daemons.payment_sandbox.shapes import (
    AuthoriseBody,
    Body,
    CaptureBody,
    RefundBody,
    VoidBody,
    ok,
    read_key,
    respond,
)

MOST_BYTES = 64 * 1024
AnyRequest = Request[Any, Any, State]


@dataclass(frozen=True)
class Sandbox:
    """What the handlers share. An answer that a test method or a fault delays is sent at once when `stop` is set."""

    ledger: Ledger
    stop: asyncio.Event
    faults: Switch = field(default_factory=Switch)
    slow: float = 5.0  # seconds that `test_card_slow` takes
    hang: float = 30.0  # seconds that `test_card_timeout` takes; longer than any client waits


class LedgerPage(msgspec.Struct, frozen=True, kw_only=True):
    """`next_cursor` is the `after` of the next page; null at the end."""

    charges: list[SandboxCharge]
    next_cursor: int | None


@post("/api/v1/charges/{payment_id:uuid}/authorise", **charging(AuthoriseBody))
async def authorise(request: AnyRequest, state: State, payment_id: FromPath[UUID]) -> ASGIApp:
    """Hold an amount. 402 when the holder's bank says no."""
    return await _execute(request, _sandbox(state), payment_id, AuthoriseBody)


@post("/api/v1/charges/{payment_id:uuid}/capture", **charging(CaptureBody))
async def capture(request: AnyRequest, state: State, payment_id: FromPath[UUID]) -> ASGIApp:
    """Take what was authorised, once, all or a part of it."""
    return await _execute(request, _sandbox(state), payment_id, CaptureBody)


@post("/api/v1/charges/{payment_id:uuid}/void", **charging(VoidBody))
async def void(request: AnyRequest, state: State, payment_id: FromPath[UUID]) -> ASGIApp:
    """Release what was authorised. An unknown payment is voided as well: it can never be authorised afterwards."""
    return await _execute(request, _sandbox(state), payment_id, VoidBody)


@post("/api/v1/charges/{payment_id:uuid}/refund", **charging(RefundBody))
async def refund(request: AnyRequest, state: State, payment_id: FromPath[UUID]) -> ASGIApp:
    """Give back what was captured, all or a part of it."""
    return await _execute(request, _sandbox(state), payment_id, RefundBody)


@get("/api/v1/charges/{payment_id:uuid}", responses=shown(SandboxCharge, 404))
async def show_charge(state: State, payment_id: FromPath[UUID]) -> ASGIApp:
    """One charge as it is now."""
    charge = _sandbox(state).ledger.charge(payment_id)
    if charge is None:
        raise NotFound("payment", str(payment_id))
    return ok(charge)


@get("/api/v1/operations/{key:str}", responses=shown(ChargeAnswer, 404))
async def look_up(state: State, key: FromPath[str]) -> ASGIApp:
    """What was decided for an idempotency key; 404 when nothing was."""
    sandbox = _sandbox(state)
    await _meet_faults(sandbox)
    answer = sandbox.ledger.look_up(read_key(key))
    if answer is None:
        raise NotFound("decision for the key", key)
    return ok(answer)


@get("/ledger", responses=shown(LedgerPage))
async def show_ledger(
    state: State,
    after: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 1000,
) -> ASGIApp:
    """All charges in the order in which they came, for reconciliation."""
    rows = _sandbox(state).ledger.charges(after=after, limit=limit)
    last = rows[-1][0] if len(rows) == limit else None
    return ok(LedgerPage(charges=[charge for _, charge in rows], next_cursor=last))


@get("/faults", responses=shown(Faults))
async def show_faults(state: State) -> ASGIApp:
    """What is switched on; `seconds` is what is left of them."""
    return ok(_sandbox(state).faults.left())


@post("/faults", status_code=200, operation_class=reading(FaultsBody), responses=shown(Faults, 413, 415))
async def switch_faults(request: AnyRequest, state: State) -> ASGIApp:
    """Switch faults on; what is not named is off. They end by themselves after `seconds`, and with the process."""
    body = await _read(request, FaultsBody, strict=True)  # a misspelt field would switch everything off
    return ok(_sandbox(state).faults.set(body.checked()))


async def _read(request: AnyRequest, kind: type[T], *, strict: bool = False) -> T:
    content_type = one_header(request.scope["headers"], "Content-Type") or ""
    raw = await receive_body(request.receive, MOST_BYTES)
    return read_body(kind, raw, content_type, strict=strict).value


async def _execute(request: AnyRequest, sandbox: Sandbox, payment_id: UUID, kind: type[Body]) -> ASGIApp:
    key = read_key(one_header(request.scope["headers"], "Idempotency-Key"))
    body = await _read(request, kind)
    charge_request = body.checked(payment_id)
    faults = await _meet_faults(sandbox)
    if _authorises_with(charge_request, methods.SLOW) and sandbox.ledger.look_up(key) is None:
        await _pause(sandbox, sandbox.slow)
    decision = await sandbox.ledger.execute(key, charge_request)
    approved = decision.answer.outcome is ChargeOutcome.APPROVED
    if _authorises_with(charge_request, methods.TIMEOUT) and approved and not decision.replayed:
        await _pause(sandbox, sandbox.hang)
        raise RequestRefused(504, "timeout", "the answer was lost; look it up by its key")
    if faults.drops():
        cast("dict[str, Any]", request.scope)[DROPPED] = True
    return respond(decision.answer, replayed=decision.replayed)


async def _meet_faults(sandbox: Sandbox) -> Switch:
    """Wait, or refuse the request, as the faults that are switched on say; return the switch."""
    if sandbox.faults.now.latency_ms:
        await _pause(sandbox, sandbox.faults.now.latency_ms / 1000)
    if sandbox.faults.errs():
        raise RequestRefused(503, "unavailable", "the payment provider is not available")
    return sandbox.faults


async def _pause(sandbox: Sandbox, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(sandbox.stop.wait(), seconds)


def _authorises_with(request: ChargeRequest, method: str) -> bool:
    return isinstance(request, Authorise) and request.payment_method == method


def _sandbox(state: State) -> Sandbox:
    return cast("Sandbox", state["sandbox"])


def make_service(sandbox: Sandbox) -> ASGIApp:
    """The application as it is served."""
    return dropping(Straight(make_app(sandbox)))


def make_app(sandbox: Sandbox) -> Litestar:
    return Litestar(
        [authorise, capture, void, refund, show_charge, look_up, show_ledger, show_faults, switch_faults],
        before_request=check_role,
        state=State({"sandbox": sandbox}),
        exception_handlers=HANDLERS,
        logging_config=None,  # daemons/process/logs.py has set up logging; the framework would replace that
        openapi_config=openapi("orderdeck payment sandbox"),
        plugins=[WireTypes()],
    )
