"""What a receipt says of an order that the read model shows, and of one that only the log has."""

from __future__ import annotations

import time

from msgspec.structs import replace

from tests.support.fake_gateway import FakeGateway
from tui.gateway import CommandToSend
from tui.receipts import perform
from tui.widgets.frame import receipt_cells
from tui.wire import WireOrder


class BehindGateway(FakeGateway):
    """Its projector stands still: the service answers from the log."""

    async def order(self, order_id: str, *, min_version: int | None = None, wait: float | None = None) -> WireOrder:
        return replace(await super().order(order_id, min_version=min_version, wait=wait), read_from="log")


async def said(gateway: FakeGateway) -> str:
    order = gateway.place(1)
    receipt = await perform(gateway, CommandToSend("confirm", order), key="k", clock=time.monotonic)
    assert receipt.order is not None
    return "".join(cell.text for cell in receipt_cells(receipt, ""))


async def test_a_receipt_says_whether_the_view_or_only_the_log_showed_the_command() -> None:
    assert "visible " in await said(FakeGateway())
    behind = await said(BehindGateway())
    assert "in the log, and not in the view yet" in behind
    assert "visible" not in behind
