"""The command that refunds an order, in parts or as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp

from core.bootstrap import App
from core.domain.message import OrderId
from core.domain.order import Order
from core.ports.log import Result
from core.services.refund import WantedRefund, refund
from daemons.command_api.operations import command
from daemons.command_api.shapes import RefundAnswer, RefundOrderBody, render
from daemons.command_api.terms import AnyRequest, CommandRequest, path_uuid


@post("/api/v1/orders/{order_id:str}/refund", **command(RefundOrderBody, RefundAnswer))
async def refund_order(request: AnyRequest, state: State, order_id: FromPath[str]) -> ASGIApp:
    """Refund a part of what was captured of a shipped order, or all of it. A saga then has the provider do it."""
    app: App = state["app"]
    sent = CommandRequest(request)
    body = await sent.body(RefundOrderBody)
    terms = sent.terms("POST /api/v1/orders/{id}/refund", body)
    order = OrderId(path_uuid(order_id, "order_id"))
    refund_id = str(terms.command_id())  # it follows from the idempotency key: a repeated command is the same refund
    wanted = WantedRefund(
        order_id=order,
        refund_id=refund_id,
        amount=body.amount,
        currency=body.currency,
        reason=body.reason,
        restock=body.returned(),
        now=app.clock.now(),
    )

    def described(after: Order) -> tuple[Result, Mapping[str, Any]]:
        return Result.DONE, {"order_id": order, "status": after.status, "refund_id": refund_id}

    return render(await refund(app.store, wanted, terms, described))


ROUTES = (refund_order,)
