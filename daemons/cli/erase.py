"""`orderdeck erase`: has the key of a customer destroyed, over HTTP, so that nobody can read what is sealed with it."""

from __future__ import annotations

from typing import Annotated

import typer

from core.terminal_text import counted
from daemons.cli.orders import AsJson, DryRun, Key
from daemons.cli.output import say
from daemons.cli.services import key_of, say_document, send
from daemons.host.bounded_http import readable


def erase(
    customer: Annotated[str, typer.Argument(help="The customer_id of the orders, or sealed:… as the log has it.")],
    reason: Annotated[str, typer.Option(help="Why; kept with your name. Do not name the customer.")],
    *,
    dry_run: DryRun = False,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Erase a customer for good: nobody can read the sealed names and addresses of the customer's orders again."""
    body = {"customer_id": customer, "reason": reason}
    answer = send("POST", "/api/v1/admin/erasures", body, key=key_of(key), dry_run=dry_run)
    with readable("the command API"):
        if as_json:
            say_document(answer)
        elif dry_run and "events" in answer:
            for event in answer["events"]:
                say(f"would record {event['event_type']} of {event['payload']['customer']}, and destroy the key")
            if not answer["events"]:
                say("would record nothing: the customer is erased already")
        else:
            if answer["status"] == "ERASED":
                say(f"customer {answer['customer']} is erased, and no answer shows it any more")
            else:
                say("nothing is sealed of this customer: erased before, or never placed an order that was sealed")
            if left := answer.get("orders_in_the_clear", 0):
                orders = counted(left, "order")
                say(f"NOT erased: {orders} under this reference, placed while ORDERDECK_SEAL_CUSTOMERS was off;")
                say("the log keeps them readable for ever")
