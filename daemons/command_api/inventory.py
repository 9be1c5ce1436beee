"""The commands on stock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ASGIApp

from core.bootstrap import App
from core.domain.inventory import INVENTORY, ReceiveStock, Stock
from core.domain.message import Sku, inventory_stream
from core.domain.validation import composed
from core.ports.log import Result
from core.services.execute import execute
from core.services.load import StateCache
from daemons.command_api.operations import command
from daemons.command_api.shapes import ReceiptAnswer, ReceiptBody, render
from daemons.command_api.terms import AnyRequest, CommandRequest


@post("/api/v1/inventory/{sku:str}/receipts", **command(ReceiptBody, ReceiptAnswer, Result.CREATED))
async def receive_stock(request: AnyRequest, state: State, sku: FromPath[str]) -> ASGIApp:
    """Take in stock of a SKU; the first receipt makes the SKU known."""
    app: App = state["app"]
    cache: StateCache[Stock] = state["stock"]
    sent = CommandRequest(request)
    sku = composed(sku)
    body = await sent.body(ReceiptBody)
    terms = sent.terms("POST /api/v1/inventory/{sku}/receipts", body)
    wish = ReceiveStock(
        now=app.clock.now(), sku=Sku(sku), quantity=body.quantity, product_id=body.product_id, name=body.name
    )

    def received(stock: Stock) -> tuple[Result, Mapping[str, Any]]:
        return Result.CREATED, {"sku": sku, "available": stock.available}

    stream = inventory_stream(wish.sku)
    outcome = await execute(app.store, INVENTORY, stream, wish, terms, received, correlation_id=stream, cache=cache)
    return render(outcome)


ROUTES = (receive_stock,)
