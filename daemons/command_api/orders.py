"""The commands on orders: each handler makes a command from the request, has it executed, and answers the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import post, put
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp
from uuid_utils.compat import uuid7

from core.bootstrap import App
from core.domain.message import OrderId, StreamId
from core.domain.order import (
    ORDER,
    CancelOrder,
    ConfirmOrder,
    CreateOrder,
    DeliverOrder,
    Order,
    OrderCommand,
    ShipOrder,
)
from core.errors import InvalidInput
from core.ports.log import Result
from core.services.execute import Terms, execute
from core.services.ship import ship as ship_when_fulfilled
from daemons.command_api.admission import Admission
from daemons.command_api.operations import command
from daemons.command_api.shapes import CancelBody, CreateOrderBody, OrderAnswer, ShipBody, render
from daemons.command_api.terms import AnyRequest, CommandRequest, NoBody, path_uuid


@post("/api/v1/orders", **command(CreateOrderBody, OrderAnswer, Result.CREATED))
async def create_order(request: AnyRequest, state: State) -> ASGIApp:
    """Place an order. Its saga then reserves the stock, authorises the payment and confirms it.

    While too many sagas wait (ORDERDECK_MOST_WAITING_SAGAS), it answers 503 with the code `backlog_full`.
    """
    app: App = state["app"]
    admission: Admission = state["admission"]
    sent = CommandRequest(request)
    body = await sent.body(CreateOrderBody)
    terms = sent.terms("POST /api/v1/orders", body)
    await admission.admit(terms)
    order_id = OrderId(uuid7())
    create = CreateOrder(
        now=app.clock.now(),
        order_id=order_id,
        customer_id=body.customer_id,
        order_number="" if terms.dry_run else await app.order_numbers.take(),  # a preview uses no number up
        items=tuple(item.item() for item in body.items),
        shipping_address=body.shipping_address.address(),
        payment_method=body.method(),
        currency=body.currency,
    )
    stream = StreamId(order_id)
    try:
        outcome = await execute(app.store, ORDER, stream, create, terms, _created, correlation_id=order_id, new=True)
    except InvalidInput as wrong:
        raise InvalidInput([body.as_sent(error) for error in wrong.errors]) from None
    return render(outcome)


@put("/api/v1/orders/{order_id:str}/confirm", **command(None, OrderAnswer))
async def confirm_order(request: AnyRequest, state: State, order_id: FromPath[str]) -> ASGIApp:
    """Confirm by hand an order its saga has not confirmed yet."""
    sent = CommandRequest(request)
    terms = sent.terms("PUT /api/v1/orders/{id}/confirm", await sent.body(NoBody))
    app: App = state["app"]
    return await _execute(app, ConfirmOrder(now=app.clock.now(), order_id=_order(order_id)), terms)


@put("/api/v1/orders/{order_id:str}/cancel", **command(CancelBody, OrderAnswer))
async def cancel_order(request: AnyRequest, state: State, order_id: FromPath[str]) -> ASGIApp:
    """Cancel an order that is not shipped yet; what was reserved and authorised for it is given back."""
    sent = CommandRequest(request)
    body = await sent.body(CancelBody)
    terms = sent.terms("PUT /api/v1/orders/{id}/cancel", body)
    app: App = state["app"]
    return await _execute(app, CancelOrder(now=app.clock.now(), order_id=_order(order_id), reason=body.reason), terms)


@put("/api/v1/orders/{order_id:str}/ship", **command(ShipBody, OrderAnswer))
async def ship_order(request: AnyRequest, state: State, order_id: FromPath[str]) -> ASGIApp:
    """Ship a confirmed order. While its fulfilment is unfinished this waits up to 2 s, then answers 409."""
    sent = CommandRequest(request)
    body = await sent.body(ShipBody)
    terms = sent.terms("PUT /api/v1/orders/{id}/ship", body)
    app: App = state["app"]
    order = _order(order_id)
    wish = ShipOrder(now=app.clock.now(), order_id=order, tracking_number=body.tracking_number, carrier=body.carrier)
    return render(await ship_when_fulfilled(app.store, wish, terms, _described(order)))


@put("/api/v1/orders/{order_id:str}/deliver", **command(None, OrderAnswer))
async def deliver_order(request: AnyRequest, state: State, order_id: FromPath[str]) -> ASGIApp:
    """Record that a shipped order has arrived."""
    sent = CommandRequest(request)
    terms = sent.terms("PUT /api/v1/orders/{id}/deliver", await sent.body(NoBody))
    app: App = state["app"]
    return await _execute(app, DeliverOrder(now=app.clock.now(), order_id=_order(order_id)), terms)


ROUTES = (create_order, confirm_order, cancel_order, ship_order, deliver_order)


async def _execute(app: App, wish: OrderCommand, terms: Terms) -> ASGIApp:
    stream = StreamId(wish.order_id)
    describe = _described(wish.order_id)
    return render(await execute(app.store, ORDER, stream, wish, terms, describe, correlation_id=stream))


def _order(text: str) -> OrderId:
    return OrderId(path_uuid(text, "order_id"))


def _created(order: Order) -> tuple[Result, Mapping[str, Any]]:
    assert order.created is not None  # noqa: S101 - its OrderCreated was just folded
    return Result.CREATED, {
        "order_id": order.created.order_id,
        "order_number": order.created.order_number,
        "status": order.status,
    }


def _described(order_id: OrderId) -> Any:
    def describe(order: Order) -> tuple[Result, Mapping[str, Any]]:
        fields: dict[str, Any] = {"order_id": order_id, "status": order.status}
        if order.tracking_number is not None:
            fields["tracking_number"] = order.tracking_number
        return Result.DONE, fields

    return describe
