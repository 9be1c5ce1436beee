"""The commands on stock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp

from core.bootstrap import App
from core.domain.inventory import INVENTORY, AdjustStock, InventoryCommand, ReceiveStock, Stock
from core.domain.message import Sku, inventory_stream
from core.domain.validation import composed
from core.ports.log import Result
from core.services.execute import Terms, execute
from core.services.load import StateCache
from daemons.command_api.operations import command
from daemons.command_api.shapes import AdjustmentBody, ReceiptBody, StockAnswer, render
from daemons.command_api.terms import AnyRequest, CommandRequest
from daemons.http.paths import whole


@post("/api/v1/inventory/{sku:str}/receipts", **command(ReceiptBody, StockAnswer, Result.CREATED))
async def receive_stock(request: AnyRequest, state: State, sku: FromPath[str]) -> ASGIApp:
    """Take in stock of a SKU; the first receipt makes the SKU known."""
    app: App = state["app"]
    sent = CommandRequest(request)
    body = await sent.body(ReceiptBody)
    terms = sent.terms("POST /api/v1/inventory/{sku}/receipts", body)
    wish = ReceiveStock(
        now=app.clock.now(),
        sku=Sku(composed(whole(sku))),
        quantity=body.quantity,
        product_id=body.product_id,
        name=body.name,
    )
    return await _execute(state, wish, terms)


@post("/api/v1/inventory/{sku:str}/adjustments", **command(AdjustmentBody, StockAnswer, Result.CREATED))
async def adjust_stock(request: AnyRequest, state: State, sku: FromPath[str]) -> ASGIApp:
    """Correct the stock of a SKU after a count: more units are there than the log says, or fewer (negative)."""
    app: App = state["app"]
    sent = CommandRequest(request)
    body = await sent.body(AdjustmentBody)
    terms = sent.terms("POST /api/v1/inventory/{sku}/adjustments", body)
    wish = AdjustStock(now=app.clock.now(), sku=Sku(composed(whole(sku))), quantity=body.quantity, reason=body.reason)
    return await _execute(state, wish, terms)


ROUTES = (receive_stock, adjust_stock)


async def _execute(state: State, wish: InventoryCommand, terms: Terms) -> ASGIApp:
    app: App = state["app"]
    cache: StateCache[Stock] = state["stock"]

    def described(stock: Stock) -> tuple[Result, Mapping[str, Any]]:
        return Result.CREATED, {"sku": wish.sku, "available": stock.available}

    stream = inventory_stream(wish.sku)
    outcome = await execute(app.store, INVENTORY, stream, wish, terms, described, correlation_id=stream, cache=cache)
    return render(outcome)
