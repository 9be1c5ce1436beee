"""The recipe "Add an event with its command and route": every edit that lets a person put a note on an order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Edit(NamedTuple):
    """Put `text` after the one place in `file` that reads `after`; without `after`, `text` is a new file."""

    file: str
    text: str
    after: str = ""

    def apply(self, root: Path) -> None:
        path = root / self.file
        if not self.after:
            path.write_text(self.text, encoding="utf-8")
            return
        before = path.read_text(encoding="utf-8")
        assert before.count(self.after) == 1, (
            f"{self.file} has {self.after!r} {before.count(self.after)} times, not once"
        )
        path.write_text(before.replace(self.after, self.after + self.text), encoding="utf-8")


# --- 1. the domain: the event, the command, what the order remembers of it, the decision ----------------------
ORDER = [
    Edit(
        "core/domain/order.py",
        after="""class OrderDelivered(OrderEvent, tag="OrderDelivered", frozen=True, kw_only=True):
    delivered_at: datetime
""",
        text="""

class OrderNoted(OrderEvent, tag="OrderNoted", frozen=True, kw_only=True):
    note: str
""",
    ),
    Edit(
        "core/domain/order.py",
        after="    OrderDelivered: Passage((Status.SHIPPED,), Status.DELIVERED),\n",
        text="    OrderNoted: Passage(tuple(status for status in Status if status is not Status.ABSENT), None),\n",
    ),
    Edit(
        "core/domain/order.py",
        after="""class DeliverOrder(OrderCommand, frozen=True, kw_only=True):
    pass
""",
        text="""

class NoteOrder(OrderCommand, frozen=True, kw_only=True):
    note: str
""",
    ),
    Edit("core/domain/order.py", after="    cancel_reason: str | None = None\n", text="    note: str | None = None\n"),
    Edit(
        "core/domain/order.py",
        after="            return replace(order, status=status, tracking_number=number, carrier=carrier)\n",
        text="        case OrderNoted(note=note):\n            return replace(order, note=note)\n",
    ),
    Edit(
        "core/domain/order.py",
        after="""        case DeliverOrder(), Status.DELIVERED:
            return []
""",
        text="""        case NoteOrder() as c, _:
            _check_text(note=c.note)
            return [] if c.note == order.note else [OrderNoted(order_id=c.order_id, note=c.note)]
""",
    ),
]

# --- 2. and 3. the body and the route -------------------------------------------------------------------------
SHAPES = [
    Edit(
        "daemons/command_api/shapes.py",
        after="""class ShipBody(msgspec.Struct, frozen=True, kw_only=True):
    tracking_number: Name
    carrier: Name
""",
        text="""

class NoteBody(msgspec.Struct, frozen=True, kw_only=True):
    note: str
""",
    ),
]
ROUTE = [
    Edit("daemons/command_api/orders.py", after="    DeliverOrder,\n", text="    NoteOrder,\n"),
    Edit("daemons/command_api/orders.py", after="import CancelBody, CreateOrderBody, ", text="NoteBody, "),
    Edit(
        "daemons/command_api/orders.py",
        after="    return await _execute(app, DeliverOrder(now=app.clock.now(), order_id=_order(order_id)), terms)\n",
        text='''

@put("/api/v1/orders/{order_id:str}/note", **command(NoteBody, OrderAnswer))
async def note_order(request: AnyRequest, state: State, order_id: FromPath[str]) -> ASGIApp:
    """Put a note on an order, whatever its status."""
    sent = CommandRequest(request)
    body = await sent.body(NoteBody)
    terms = sent.terms("PUT /api/v1/orders/{id}/note", body)
    app: App = state["app"]
    return await _execute(app, NoteOrder(now=app.clock.now(), order_id=_order(order_id), note=body.note), terms)
''',
    ),
    Edit("daemons/command_api/orders.py", after="ship_order, deliver_order", text=", note_order"),
]

# --- 4. to 7. its tests: the outcome in each status, the stored sample and its object, the route over HTTP -----
OUTCOMES = [
    Edit("tests/domain/test_outcomes.py", after="core.domain.order import ORDER, ", text="NoteOrder, "),
    Edit("tests/domain/test_outcomes.py", after="NoteOrder, OrderCommand, ", text="OrderNoted, "),
    Edit("tests/domain/test_outcomes.py", after="    LAPTOP,\n", text="    NOW,\n"),
    Edit(
        "tests/domain/test_outcomes.py",
        after="ORDER_OUTCOMES: Table = {\n",
        text="""    NoteOrder(now=NOW, order_id=ORDER_ID, note="ring twice"): {
        status: NO_ORDER if status is Status.ABSENT else [OrderNoted(order_id=ORDER_ID, note="ring twice")]
        for status in Status
    },
""",
    ),
]
SAMPLE = [
    Edit(
        "tests/data/golden/OrderNoted.v1.json",
        json.dumps({"order_id": "0195979f-3e40-7cc1-9d2e-1a2b3c4d5e6f", "note": "ring twice"}),
    )
]
PINNED = [
    Edit(
        "tests/support/pinned.py",
        after="    order.OrderDelivered(order_id=ORDER, delivered_at=WHOLE),\n",
        text='    order.OrderNoted(order_id=ORDER, note="ring twice"),\n',
    )
]
HTTP_TEST = [Edit("tests/daemons/test_order_note.py", (HERE / "order_note_over_http.py").read_text(encoding="utf-8"))]

# --- 8. and 9. the reference ----------------------------------------------------------------------------------
EVENTS_PAGE = [
    Edit(
        "docs/reference/events.md",
        after="| OrderDelivered | order_id, delivered_at | it has arrived |\n",
        text="| OrderNoted | order_id, note | someone put a note on it |\n",
    )
]
HTTP_PAGE = [
    Edit(
        "docs/reference/http-api.md",
        after="| PUT `/api/v1/orders/{order_id}/deliver` | – | 200, likewise |\n",
        text="| PUT `/api/v1/orders/{order_id}/note` | note | 200, likewise |\n",
    )
]

EDITS = [*ORDER, *SHAPES, *ROUTE, *OUTCOMES, *SAMPLE, *PINNED, *HTTP_TEST, *EVENTS_PAGE, *HTTP_PAGE]
FILES = sorted({edit.file for edit in EDITS})
