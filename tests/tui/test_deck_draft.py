from __future__ import annotations

from decimal import Decimal

from tui.viewmodels.draft import OrderDraft
from tui.wire import FieldProblem


def example() -> OrderDraft:
    draft = OrderDraft()
    draft.fill_in_example()
    return draft


def test_a_new_draft_is_no_order_and_the_example_is_one() -> None:
    assert OrderDraft().blank
    assert OrderDraft().total() is None
    body = OrderDraft().body()
    assert body["customer_id"] == body["items"][0]["sku"] == body["shipping_address"]["street"] == ""
    body = example().body()
    assert body["items"] == [{"product_id": "LAPTOP-001", "sku": "LAPTOP-001", "quantity": 1, "unit_price": "999.99"}]
    assert body["shipping_address"]["country"] == "US"
    assert example().total() == Decimal("999.99")


def test_the_example_overwrites_nothing_and_what_has_a_default_may_be_left_out() -> None:
    draft = OrderDraft()
    assert not {"currency", "payment_method"} & draft.body().keys()
    draft.set("currency", "EUR")
    draft.fill_in_example()
    assert draft.body()["currency"] == "EUR"
    assert draft.body()["payment_method"] == {"type": "card", "label": "Visa ending in 4242"}


def test_a_label_is_sent_with_the_payment_method_and_errors_of_both_stand_at_their_fields() -> None:
    draft = example()
    draft.set("payment_method", " ")
    draft.set("payment_method.label", " Visa ")
    assert draft.body()["payment_method"] == {"type": "card", "label": "Visa"}
    draft.set("payment_method", "sepa")
    assert draft.body()["payment_method"] == {"type": "sepa", "label": "Visa"}
    draft.set("payment_method.label", "")
    assert draft.body()["payment_method"] == "sepa"
    named = ("payment_method.type", "payment_method.label")
    placed = draft.place([FieldProblem(field=name, message=f"wrong {name}") for name in named])
    assert placed == {
        "payment_method": "wrong payment_method.type",
        "payment_method.label": "wrong payment_method.label",
    }


def test_a_quantity_is_sent_as_the_number_that_was_meant() -> None:
    draft = example()
    sent: list[object] = []
    for text in ("12", "-3", "99999999999", "2.5", "many", "1_0", " 7 "):
        draft.set("items[0].quantity", text)
        sent.append(draft.body()["items"][0]["quantity"])
    assert sent == [12, -3, 99_999_999_999, 2.5, "many", "1_0", 7]


def test_blank_lines_are_not_sent_and_errors_are_shown_at_the_right_line() -> None:
    draft = example()
    draft.add_line()
    draft.add_line()
    assert "items[1].sku" not in draft.touched
    draft.set("items[2].sku", "SKU-002")
    draft.set("items[2].quantity", "many")
    assert [item["sku"] for item in draft.body()["items"]] == ["LAPTOP-001", "SKU-002"]
    assert draft.body()["items"][1]["quantity"] == "many"
    placed = draft.place([FieldProblem("items[1].quantity", "must be a number"), FieldProblem("items", "too few")])
    assert placed == {"items[2].quantity": "must be a number", "items[0].sku": "too few"}
    assert draft.total() is None


def test_an_error_that_belongs_to_no_field_is_shown_too() -> None:
    draft = OrderDraft()
    placed = draft.place([FieldProblem("total_amount", "too large"), FieldProblem("items[7].sku", "unknown")])
    assert placed == {"": "total_amount: too large; items[7].sku: unknown"}
    assert draft.place([FieldProblem("items[0].product_id", "blank")]) == {"items[0].sku": "blank"}
    assert draft.place([FieldProblem("shipping_address", "missing")]) == {"shipping_address.street": "missing"}


def test_a_draft_keeps_its_key_until_it_is_edited_after_it_was_sent() -> None:
    draft = OrderDraft()
    key = draft.key
    draft.set("customer_id", "acme")
    assert draft.key == key  # nothing was sent under it yet
    draft.sent = True
    draft.set("customer_id", "acme")
    assert draft.key == key
    draft.set("customer_id", "acme-2")
    assert draft.key != key
