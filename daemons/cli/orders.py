"""`orderdeck orders` and `orderdeck order …`: the orders that match a filter, one order, and the commands on orders."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer
from typer.core import TyperGroup

from daemons.cli.output import end_with, say, tell
from daemons.cli.past import AsOf, as_of
from daemons.cli.payloads import details, paid_with
from daemons.cli.services import NOTHING, USAGE, key_of, order_id_of, read, say_document, send
from daemons.cli.tables import TableField, say_rows
from daemons.host.bounded_http import readable

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Order = Annotated[str, typer.Argument(help="The order's id or its number.", metavar="ORDER")]
Key = Annotated[str | None, typer.Option(help="Idempotency key: sent twice under one key it is recorded once.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be recorded, and record nothing.")]
Schema = Annotated[
    Literal["latest", "stored"], typer.Option("--schema", help="Payloads in their newest shape, or as they are stored.")
]
SORTS = ("created_at", "updated_at", "total_amount")
PAGE = 100
API = "the query API"

ORDER_FIELDS = (
    TableField("ORDER", 14),
    TableField("STATUS", 9),
    TableField("PAYMENT", 15),
    TableField("TOTAL", 18, right=True),
    TableField("AGE", 7, right=True),
    TableField("CUSTOMER"),
)
PLAIN = (
    "order_number", "status", "payment_status", "total_amount", "currency", "created_at", "customer_id", "order_id"
)  # fmt: skip
"""The fields of an order that a program gets on a line."""


class ShowOrRun(TyperGroup):
    """`orderdeck order ORD-…` is `orderdeck order show ORD-…`: what is no command names an order."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


order = typer.Typer(no_args_is_help=True, cls=ShowOrRun, help="Show one order by its id or number, or steer it.")


def list_orders(
    words: Annotated[list[str] | None, typer.Argument(help="As after / in the deck.", metavar="[FILTER]...")] = None,
    *,
    sort: Annotated[str, typer.Option(help=f"{', '.join(SORTS)}; with a minus the other way round.")] = "-created_at",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 20,
    moment: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """List the orders that match a filter, newest first: `orders status:created,confirmed 'age>2h'`."""
    if sort.removeprefix("-") not in SORTS:
        end_with(USAGE, f"--sort {sort}: there are {', '.join(SORTS)}, each also with a minus")
    from core.filters.order_language import parse
    from core.filters.words import FilterError

    no_options(words)
    try:
        query = parse(" ".join(map(_word, words or ())), datetime.now(UTC))
    except FilterError as error:
        end_with(USAGE, error)
    found, kept = 0, list[dict[str, Any]]()
    parameters: dict[str, str | Sequence[str]] = {**query.params(), "sort": sort, **as_of(moment)}
    while True:
        page = read("/api/v1/orders", parameters | {"limit": str(min(PAGE, limit - found))})
        with readable(API):
            orders = page["orders"][: limit - found]
            if as_json:
                kept += orders
            elif orders:
                now = datetime.now(UTC)
                plain = ([order[name] for name in PLAIN] for order in orders)
                say_rows(ORDER_FIELDS, [_row(each, now) for each in orders], plain, heading=not found)
            found += len(orders)
            if found >= limit or not orders or not page["next_cursor"]:
                break
            parameters["cursor"] = page["next_cursor"]
    with readable(API):
        total = f"{'about ' if page['total_estimated'] else ''}{page['total']:,}"
        if as_json:
            say_document({"orders": kept, "total": page["total"], "total_estimated": page["total_estimated"]})
        if not found:
            end_with(NOTHING, "no order matches")
        if found < page["total"]:
            tell(f"{found:,} of {total} orders; --limit shows more")


@order.command("show")
def show_order(order: Order, *, moment: AsOf = None, schema: Schema = "latest", as_json: AsJson = False) -> None:
    """Show one order, and everything that was recorded about it."""
    from core.terminal_text import money

    past = as_of(moment)
    path = f"/api/v1/orders/{quote(order_id_of(order), safe='')}"
    view = read(path, past)
    events = read(f"{path}/timeline", {"limit": "1000", "schema": schema} | past)
    with readable(API):
        if as_json:
            say_document({"order": view, "timeline": events["events"]})
            return
        say(f"{view['order_number']}  {view['status']}  payment {view['payment_status']}  {_total(view)}")
        say(f"  id        {view['order_id']}")
        say(f"  customer  {view['customer_id']}")
        for item in view["items"]:
            say(f"  item      {item['quantity']} x {item['sku']} at {money(item['unit_price'], view['currency'])}")
        if method := paid_with(events["events"]):
            say(f"  pays by   {method}")
        for name in ("authorized", "captured", "refunded"):
            if float(view[f"{name}_amount"]):
                say(f"  {name:<9} {money(view[f'{name}_amount'], view['currency'])}")
        if view["tracking_number"]:
            say(f"  tracking  {view['tracking_number']} ({view['carrier']})")
        say(f"  placed    {view['created_at'][:23]}, changed {view['updated_at'][:23]}, version {view['version']}")
        for event in events["events"]:
            line = f"{event['position']:>9}  {event['timestamp'][:23]}  {event['event_type']:<26} {details(event)}"
            say(f"  {line}".rstrip())


@order.command("place")
def place_order(
    *,
    customer: Annotated[str, typer.Option(help="Who orders.")] = "",
    item: Annotated[list[str] | None, typer.Option(help="SKU:QUANTITY:PRICE; again for each line.")] = None,
    street: str = "",
    city: str = "",
    state: str = "",
    zip_: Annotated[str, typer.Option("--zip")] = "",
    country: Annotated[str, typer.Option(help="A code of two letters, such as US.")] = "",
    payment_method: Annotated[str, typer.Option(help="card, unless said otherwise.")] = "",
    payment_label: Annotated[str, typer.Option(help="What people call it: 'Visa ending in 4242'.")] = "",
    currency: Annotated[str, typer.Option(help="USD, unless said otherwise.")] = "",
    dry_run: DryRun = False,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Place an order, from options, or from the JSON body of the HTTP API on stdin."""
    if item or customer:
        method: Any = payment_method
        if payment_label:
            method = {"type": payment_method or "card", "label": payment_label}
        address = {"street": street, "city": city, "state": state, "zip": zip_, "country": country}
        body: Any = {
            "customer_id": customer,
            "items": [_item(text) for text in item or ()],
            "shipping_address": {name: value for name, value in address.items() if value},
            **{name: v for name, v in (("payment_method", method), ("currency", currency)) if v},
        }
    elif sys.stdin.isatty():
        end_with(USAGE, "say what to order with --customer, --item and --street …, or give a JSON body on stdin")
    else:
        try:
            body = json.loads(sys.stdin.read(1024 * 1024 + 1))
        except (ValueError, RecursionError) as error:
            end_with(USAGE, f"stdin is no JSON: {error}")
        if not isinstance(body, dict):
            end_with(USAGE, "stdin has to hold a JSON object: the body of an order")
    _command("POST", "/api/v1/orders", body, dry_run=dry_run, key=key, as_json=as_json)


@order.command()
def confirm(order: Order, *, dry_run: DryRun = False, key: Key = None, as_json: AsJson = False) -> None:
    """Confirm by hand an order that its saga has not confirmed yet."""
    _change(order, "confirm", None, dry_run=dry_run, key=key, as_json=as_json)


@order.command()
def cancel(
    order: Order,
    reason: Annotated[str, typer.Option(help="Why; kept with the order.")],
    *,
    dry_run: DryRun = False,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Cancel an order that is not shipped yet."""
    _change(order, "cancel", {"reason": reason}, dry_run=dry_run, key=key, as_json=as_json)


@order.command()
def ship(
    order: Order,
    tracking: Annotated[str, typer.Option(help="The parcel's number.")],
    carrier: Annotated[str, typer.Option(help="Who carries it.")],
    *,
    dry_run: DryRun = False,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Record that a confirmed order was sent."""
    body = {"tracking_number": tracking, "carrier": carrier}
    _change(order, "ship", body, dry_run=dry_run, key=key, as_json=as_json)


@order.command()
def deliver(order: Order, *, dry_run: DryRun = False, key: Key = None, as_json: AsJson = False) -> None:
    """Record that a shipped order has arrived."""
    _change(order, "deliver", None, dry_run=dry_run, key=key, as_json=as_json)


@order.command()
def refund(
    order: Order,
    amount: Annotated[str, typer.Option(help="Such as 5.00, in the order's currency.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the order.")],
    *,
    restock: Annotated[bool, typer.Option("--restock", help="All its goods are back, and go into stock.")] = False,
    dry_run: DryRun = False,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Refund a part of what was captured of a shipped order, or all of it."""
    body = {"amount": amount, "reason": reason, "restock": restock}
    _change(order, "refund", body, dry_run=dry_run, key=key, as_json=as_json, method="POST")


def no_options(words: Sequence[str] | None) -> None:
    """End the command when one of the words of a filter was meant as an option that there is not."""
    if wrong := next((word for word in words or () if word.startswith("--")), None):
        end_with(USAGE, f"no such option: {wrong}")


def _change(
    order: str, verb: str, body: Any, *, dry_run: bool, key: str | None, as_json: bool, method: str = "PUT"
) -> None:
    path = f"/api/v1/orders/{quote(order_id_of(order), safe='')}/{verb}"
    _command(method, path, body, dry_run=dry_run, key=key, as_json=as_json)


def _command(method: str, path: str, body: Any, *, dry_run: bool, key: str | None, as_json: bool) -> None:
    answer = send(method, path, body, key=key_of(key), dry_run=dry_run)
    with readable("the command API"):
        if as_json:
            say_document(answer)
        elif dry_run:
            for event in answer["events"]:
                say(f"would record {event['event_type']}  {details(event)}".rstrip())
            if not answer["events"]:
                say("would record nothing: it is done already")
        else:
            name = answer.get("order_number") or answer["order_id"]
            where = f", event {answer['position']}" if answer.get("position") else ""
            say(f"{name}  {answer['status']}  version {answer['version']}{where}")


def _row(order: Mapping[str, Any], now: datetime) -> Sequence[str]:
    from core.terminal_text import span

    age = span((now - datetime.fromisoformat(order["created_at"])).total_seconds()).replace(" ", "")
    return (order["order_number"], order["status"], order["payment_status"], _total(order), age, order["customer_id"])


def _total(order: Mapping[str, Any]) -> str:
    from core.terminal_text import money

    return money(order["total_amount"], order["currency"])


def _item(text: str) -> Mapping[str, Any]:
    sku, quantity, price = parts if len(parts := text.rsplit(":", 2)) == 3 else ("", "", "")
    if not sku or not re.fullmatch(r"[0-9]{1,9}", quantity) or not price:
        end_with(USAGE, f"--item {text}: is written SKU:QUANTITY:PRICE, such as LAPTOP-001:1:1299.00")
    return {"product_id": sku, "sku": sku, "quantity": int(quantity), "unit_price": price}


def _word(argument: str) -> str:
    """An argument as a filter has it: the shell has taken away the quotation marks of `customer:"Ada, Ltd"`."""
    from core.filters.words import quoted

    field, colon, value = argument.partition(":")
    if colon and field.lower() in ("customer", "-customer") and " " in value and '"' not in value:
        later = re.search(r" -?[a-z]+[:<>=]", value)
        end = later.start() if later else len(value)
        return f"{field}:{quoted(value[:end])}{value[end:]}"
    return argument
