"""The command that erases a customer: what is sealed of the customer can never be read again."""

from __future__ import annotations

from litestar import post
from litestar.datastructures import State
from litestar.types import ASGIApp

from core.bootstrap import App
from core.ports.customer_keys import CustomerKeys
from core.services.erase_customer import erase
from daemons.command_api.operations import command
from daemons.command_api.shapes import ErasureAnswer, ErasureBody, render
from daemons.command_api.terms import AnyRequest, CommandRequest


@post("/api/v1/admin/erasures", **command(ErasureBody, ErasureAnswer))
async def erase_customer(request: AnyRequest, state: State) -> ASGIApp:
    """Destroy the key of a customer, so that nobody can read the names and addresses that were sealed with it."""
    app: App = state["app"]
    keys: CustomerKeys = state["customer_keys"]
    sent = CommandRequest(request)
    body = await sent.body(ErasureBody)
    terms = sent.terms("POST /api/v1/admin/erasures", body)
    return render(await erase(app.store, keys, body.customer_id, body.reason, app.clock.now(), terms))


ROUTES = (erase_customer,)
