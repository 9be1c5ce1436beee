"""What the deck shows, on the command line: the same filters, data on stdout, talk on stderr, and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daemons.cli import tables
from daemons.cli.main import app
from daemons.cli.services import read
from tests.support.memory_folder import open_folder
from tests.support.stack import ROOT, Stack, until

ADDRESS = ("--street", "1 Market St", "--city", "SF", "--state", "CA", "--zip", "94105", "--country", "US")
STORED = ("--schema", "stored")
LAPTOP = ("--item", "LAPTOP-001:1:1299.00")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with open_folder("od-cli-") as folder, Stack(folder / "home") as running:
        running.up()
        before = dict(os.environ)
        os.environ.update(running.env)
        yield running
        os.environ.clear()
        os.environ.update(before)


def run(*arguments: str, code: int = 0, stdin: str = "") -> Result:
    done = CliRunner().invoke(app, arguments, input=stdin)
    assert done.exit_code == code, (arguments, done.output, done.exception)
    assert len(done.stderr.splitlines()) <= 1 + ("--as-of" in arguments) or code == 2, done.stderr
    return done


def rows(*arguments: str) -> list[list[str]]:
    return [line.split("\t") for line in run(*arguments).stdout.splitlines()]


def placed(customer: str, *more: str) -> dict[str, Any]:
    return json.loads(run("order", "place", "--customer", customer, *LAPTOP, *ADDRESS, *more, "--json").stdout)


def has_come_to(number: str, status: str) -> None:
    until(lambda: json.loads(run("order", number, "--json").stdout)["order"]["status"] == status)


def test_an_order_is_placed_found_shipped_and_refused_on_the_command_line(stack: Stack) -> None:
    assert (
        "OrderCreated  acme  1299.00  USD"
        in run("order", "place", "--customer", "acme", *LAPTOP, *ADDRESS, "--dry-run").stdout
    )
    first = placed("acme", "--key", "k-1")
    assert placed("acme", "--key", "k-1") == first
    number, id_ = first["order_number"], first["order_id"]
    has_come_to(number, "CONFIRMED")
    [row] = rows("orders", "customer:acme")
    assert row[:2] + row[3:5] + row[6:] == [number, "CONFIRMED", "1299.00", "USD", "acme", id_]
    for filter_ in (
        number.lower(),
        id_,
        f"order:{number}",
        "status:conf min:1299 USD age<1h -customer:bob",
        number[:9],
    ):
        assert rows("orders", *filter_.split())[0][0] == number
    shown = run("order", number.lower())
    assert f"id        {id_}" in shown.stdout
    assert "OrderConfirmed" in shown.stdout
    document = json.loads(run("order", id_, "--json").stdout)
    assert (document["order"]["total_amount"], document["timeline"][0]["event_type"]) == (1299.00, "OrderCreated")

    assert "cannot deliver a confirmed order" in run("order", "deliver", number, code=4).stderr
    parcel = ("--tracking", "1Z999", "--carrier", "UPS")
    assert "would record OrderShipped" in run("order", "ship", number, *parcel, "--dry-run").stdout
    assert json.loads(run("order", "ship", number, *parcel, "--json").stdout)["status"] == "SHIPPED"
    assert "DELIVERED" in run("order", "deliver", id_).stdout
    until(lambda: rows("orders", "order:" + number)[0][2] == "CAPTURED")
    assert "RefundRequested" in run("order", "refund", number, "--amount", "5", "--reason", "late", "--dry-run").stdout
    assert (
        "1299.00 captured is left" in run("order", "refund", number, "--amount", "9999", "--reason", "x", code=4).stderr
    )
    run("order", "cancel", number, "--reason", "too late", code=4)
    assert [row[2] for row in rows("events", "type:OrderShipped,OrderDelivered", f"order:{number}")] == [
        "OrderShipped",
        "OrderDelivered",
    ]
    assert {row[2] for row in rows("sagas", f"order:{number}", "status:completed")} == {id_}
    labelled = placed("label", "--payment-label", "Visa ending in 4242")["order_number"]
    assert "  pays by   Visa ending in 4242 (card)" in run("order", labelled).stdout
    newest, stored = (json.loads(run("order", labelled, *words, "--json").stdout) for words in ((), STORED))
    assert newest == stored, "of an order of today both shapes are the same"
    assert run("order", labelled, "--schema", "old", code=2).stderr
    assert run("sagas", "state:failed", code=3).stdout == ""
    story = json.loads(run("order", number, "--json").stdout)["timeline"]
    shipped = next(event["position"] for event in story if event["event_type"] == "OrderShipped")
    past = run("order", number, "--as-of", f"#{shipped - 1}", "--json")
    assert json.loads(past.stdout)["order"]["status"] == "CONFIRMED"
    by_number = read(f"/api/v1/orders/number/{number}", {"as_of": str(shipped - 1)})
    assert (by_number["order_id"], by_number["status"]) == (id_, "CONFIRMED")
    assert past.stderr == f"as it was after position {shipped - 1:,}\n"
    listed = rows("orders", "status:confirmed", "--as-of", f"#{shipped - 1}")
    assert (number, "CONFIRMED") in {(row[0], row[1]) for row in listed}
    changed = run("compare", f"#{shipped - 1}", f"#{shipped}")
    assert ["orders", "SHIPPED", "0", "1", "+1"] in [line.split("\t") for line in changed.stdout.splitlines()]
    assert {line.split("\t")[0] for line in run("compare", "#1", f"#{shipped}").stdout.splitlines()} > {
        "orders",
        "payments",
    }
    assert changed.stderr == f"from position {shipped - 1:,} to position {shipped:,}\n"
    assert json.loads(past.stdout)["timeline"] == [event for event in story if event["position"] < shipped]
    assert "SHIPPED" in run("order", number, "--as-of", f"{shipped}").stdout
    assert "there is no order" in run("order", number, "--as-of", "-1d", code=3).stderr.splitlines()[-1]
    [saga] = rows("sagas", f"order:{number}", "status:completed", "--limit", "1")
    assert saga[0] in run("saga", "show", saga[0], "--as-of", "now").stdout
    upto = [str(event["position"]) for event in story if event["position"] <= shipped]
    assert [row[0] for row in rows("events", f"order:{number}", "--as-of", f"{shipped}")] == upto


def test_a_body_on_stdin_customers_with_blanks_and_more_than_one_page(stack: Stack) -> None:
    body = {
        "customer_id": "Ada, Ltd",
        "items": [{"product_id": "M", "sku": "LAPTOP-001", "quantity": 1, "unit_price": "24.50"}],
        "shipping_address": {"street": "1", "city": "SF", "state": "CA", "zip": "94105", "country": "US"},
    }
    for _ in range(3):
        run("order", "place", stdin=json.dumps(body))
    until(lambda: len(rows("orders")) >= 3)
    for words in (("customer:Ada, Ltd",), ('customer:"Ada, Ltd"',), ("customer:Ada, Ltd status:created,conf,canc",)):
        until(lambda words=words: len(rows("orders", *words)) == 3)
    page = run("orders", "customer:Ada, Ltd", "--limit", "2", "--sort", "created_at", "--json")
    assert len(json.loads(page.stdout)["orders"]) == 2
    assert page.stderr == "2 of 3 orders; --limit shows more\n"
    assert rows("orders", "customer:Ada, Ltd", "--sort=-total_amount")[0][3] == "24.50"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("orders", "staus:created"), 2, "no field staus: did you mean status:?"),
        (("orders", "--sort", "price"), 2, "--sort price: there are created_at, updated_at, total_amount"),
        (("orders", "--jsn"), 2, "no such option: --jsn"),
        (("events", "--folow"), 2, "no such option: --folow"),
        (("orders", "customer:nobody"), 3, "no order matches"),
        (("order", "ORD-NOTTHERE00"), 3, "there is no order ORD-NOTTHERE00"),
        (("order", "01959a7f-3e40-7cc1-9d2e-000000000001"), 3, "there is no order"),
        (("order", "no/id?#"), 2, "is neither an order's number"),
        (("order", "cancel", "01959a7f-3e40-7cc1-9d2e-000000000001", "--reason", "x"), 3, "there is no order"),
        (("order", "place"), 2, "stdin is no JSON"),
        (("order", "place", "--customer", "a", "--item", "A:x:1"), 2, "--item A:x:1: is written SKU:QUANTITY:PRICE"),
        (("order", "place", "--customer", "a", *LAPTOP), 4, "shipping_address"),
        (("order", "cancel", "x"), 2, "Missing option '--reason'"),
        (("events", "typ:x"), 2, "no field typ: did you mean type:?"),
        (("events", "type:Nonsense"), 2, "type: Nonsense"),
        (("events", "-type:OrderCreated"), 2, "-type:"),
        (("events", "after:9999999999"), 3, "no event matches"),
        (("sagas", "state:asleep"), 2, "state"),
        (("events", "--as-of", "soon"), 2, "--as-of: 'soon' is no time and no position"),
        (("events", "--as-of", "999999999"), 2, "is beyond the head of the log"),
        (("events", "--as-of", "2999-01-01"), 2, "is in the future"),
        (("events", "--as-of", "09:00", "--follow"), 2, "--as-of and --follow"),
        (("orders", "--as-of", "+5m"), 2, "--as-of: '+5m' is no time and no position"),
        (("orders", "--as-of", "2999-01-01"), 2, "--as-of: is in the future"),
        (("orders", "--as-of", "#999999999"), 2, "is beyond the head of the log"),
        (("orders", "--as-of", "#0"), 3, "no order matches"),
        (("sagas", "--as-of", "2999-01-01"), 2, "is in the future"),
        (("compare", "soon"), 2, "FROM: 'soon' is no time and no position"),
        (("compare", "#1", "2999-01-01"), 2, "TO: is in the future"),
        (("compare", "#1", "#999999999"), 2, "is beyond the head of the log"),
        (("deadletters", "retry", "--reason", "x"), 2, "name one by its id, or say"),
        (("erase", "", "--reason", "x"), 4, "customer_id: must not be blank"),
        (("sagas", "loose"), 2, "loose: write it as one of state:, status:, order:, saga:"),
    ],
)
def test_each_way_to_fail_has_its_exit_code_and_its_sentence(
    stack: Stack, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run(*arguments, code=code)
    assert said in done.stderr.replace("\n", " ")
    assert done.stdout == ""


def test_on_a_terminal_of_80_columns_everything_that_matters_is_shown(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = placed("customer-" + "c" * 60)["order_number"]
    has_come_to(number, "CONFIRMED")
    monkeypatch.setattr(tables, "on_a_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (("orders",), ("sagas",), ("events",), ("daemons",)):
        shown = run(*arguments).stdout
        assert max(map(len, shown.splitlines())) <= 80, shown
        assert "\t" not in shown
    heading, first, *_ = run("orders").stdout.splitlines()
    assert heading.split() == ["ORDER", "STATUS", "PAYMENT", "TOTAL", "AGE", "CUSTOMER"]
    assert first.startswith(f"{number}  CONFIRMED  AUTHORIZED  1,299.00 USD")
    assert first.endswith("…")
    assert [line.split()[1] for line in run("daemons").stdout.splitlines()[1:]] == ["yes"] * 6


def test_followed_events_are_printed_as_they_come_in(stack: Stack) -> None:
    command = [sys.executable, "-m", "daemons.cli.main", "events", "type:OrderCreated", "--follow", "--json"]
    with subprocess.Popen(
        command, env=stack.env | {"PYTHONPATH": str(ROOT)}, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as following:
        try:
            assert following.stderr is not None
            assert following.stdout is not None
            assert b"following" in following.stderr.readline()
            wanted = placed("follower")["order_id"]
            while json.loads(following.stdout.readline())["aggregate_id"] != wanted:
                pass
        finally:
            following.kill()
