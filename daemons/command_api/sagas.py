"""The commands on sagas: an operator retries, skips, turns round or resolves a saga that cannot go on by itself."""

from __future__ import annotations

from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp

from core.bootstrap import App
from core.domain.message import SagaId
from core.sagas import SAGAS
from core.sagas.wishes import Wish
from core.services.sagas.steer import Operation, operate
from daemons.command_api.operations import command
from daemons.command_api.shapes import ReasonBody, SagaAnswer, render
from daemons.command_api.terms import AnyRequest, CommandRequest, path_uuid


@post("/api/v1/sagas/{saga_id:str}/retry", **command(ReasonBody, SagaAnswer))
async def retry_saga(request: AnyRequest, state: State, saga_id: FromPath[str]) -> ASGIApp:
    """Begin the step again at which a failed saga stands, with all its tries."""
    return await _operate(request, state, saga_id, Wish.RETRY)


@post("/api/v1/sagas/{saga_id:str}/skip-step", **command(ReasonBody, SagaAnswer))
async def skip_step(request: AnyRequest, state: State, saga_id: FromPath[str]) -> ASGIApp:
    """Leave the undo at which a failed saga stands as it is, vouched for by name, and go on with the rest."""
    return await _operate(request, state, saga_id, Wish.SKIP_STEP)


@post("/api/v1/sagas/{saga_id:str}/compensate", **command(ReasonBody, SagaAnswer))
async def compensate_saga(request: AnyRequest, state: State, saga_id: FromPath[str]) -> ASGIApp:
    """Turn a fulfilment round while it is unfinished, or refund what a settlement has captured."""
    return await _operate(request, state, saga_id, Wish.COMPENSATE)


@post("/api/v1/sagas/{saga_id:str}/resolve", **command(ReasonBody, SagaAnswer))
async def resolve_saga(request: AnyRequest, state: State, saga_id: FromPath[str]) -> ASGIApp:
    """End a failed saga: what was open was settled elsewhere, vouched for by name."""
    return await _operate(request, state, saga_id, Wish.RESOLVE)


ROUTES = (retry_saga, skip_step, compensate_saga, resolve_saga)


async def _operate(request: AnyRequest, state: State, saga_id: str, wish: Wish) -> ASGIApp:
    sent = CommandRequest(request)
    body = await sent.body(ReasonBody)
    terms = sent.terms(f"POST /api/v1/sagas/{{id}}/{wish}", body)
    app: App = state["app"]
    operation = Operation(SagaId(path_uuid(saga_id, "saga_id")), wish, body.reason)
    return render(await operate(app.store, app.sagas, SAGAS, app.clock, operation, terms))
