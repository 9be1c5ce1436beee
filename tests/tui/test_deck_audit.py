"""The view of the audit: the newest first, filtered and paged within bounds, and plain about who may not see it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion

from core.filters.words import FilterError
from tests.support.deck_harness import opened
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import entries_of, same_picture
from tui.gateway import ServiceRefused, Unreachable
from tui.viewmodels.audit import A_PAGE, LOOKS, MOST, PATH, AuditModel
from tui.viewmodels.audit_filter import parse_audit_filter, with_field

GOLDEN = Path(__file__).parent / "golden"
SIZES = [(80, 24), (120, 36), (200, 60)]
NOW = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
ORDER = "01a20e94-3e40-7cc1-9d2e-000000000001"


def act(position: int, **more: Any) -> dict[str, Any]:
    return {
        "position": position,
        "at": "2026-03-14T15:00:00Z",
        "action": "POST /api/v1/orders",
        "outcome": "done",
        "caller": "ana",
        "source": "10.0.0.7",
        "status": 201,
        **more,
    }


def desk(*acts: dict[str, Any]) -> FakeGateway:
    gateway = FakeGateway()
    gateway.answers[PATH] = {"rows": list(acts), "next_before": None, "head": len(acts), "hash": "", "cut": 0}
    return gateway


class Trail(FakeGateway):
    """An audit of so many rows, read as the service pages it: each page looks at so many rows at most."""

    def __init__(self, count: int, looked_at: int = 50_000, only: int | None = None) -> None:
        super().__init__()
        self.count, self.looked_at, self.only = count, looked_at, only

    async def read(self, path: str, shape: Any, params: Any = None, **more: Any) -> Any:
        if path != PATH:
            return await super().read(path, shape, params, **more)
        self.reads.append((path, dict(params)))
        before, limit = int(params.get("before", self.count + 1)), int(params["limit"])
        lowest = max(1, before - self.looked_at)
        fits = [n for n in range(before - 1, lowest - 1, -1) if self.only in (None, n)][:limit]
        end = fits[-1] if len(fits) == limit else lowest
        page = {"rows": [act(n) for n in fits], "next_before": end if end > 1 else None, "head": self.count, "cut": 0}
        return msgspec.convert(page, shape)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_audit_looks_like_its_picture(size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    ship = "PUT /api/v1/orders/{id}/ship"
    gateway = desk(
        act(4, action=ship, target=ORDER, on_behalf_of="bob", event_position=52, status=200, request_id="r-1"),
        act(3, action=ship, target=ORDER, outcome="refused", problem="role_too_low", status=403, key_id="k7"),
        act(2, caller="", outcome="refused", status=401, times=60, source="192.0.2.1", at="2026-03-13T09:00:00Z"),
        act(1, action="orderdeck keys create", target="ana", caller="home", source="desk", status=0),
    )
    async with opened(gateway, size=size, views=entries_of("orders", "detail", "audit")) as deck:
        await deck.press("7")
        await deck.shows("4 rows, newest first")
        await deck.press("j")
        await same_picture(deck, GOLDEN / f"audit-{size[0]}x{size[1]}.txt", snapshot, svg=size[0] == 120)


async def test_the_audit_is_filtered_by_outcome_and_caller_and_new_rows_leave_the_chosen_one() -> None:
    gateway = desk(act(2, caller="bob the other", target=ORDER, action="PUT /api/v1/orders/{id}/ship"), act(1))
    async with opened(gateway, size=(120, 36)) as deck:
        await deck.press(":", *"audit outcome:refused", "enter")
        await deck.until(lambda: gateway.reads[-1] == (PATH, {"outcome": "refused", "limit": "200"}))
        await deck.press("o")
        await deck.shows("outcome:failed")
        await deck.press("o", "=")
        await deck.until(lambda: gateway.reads[-1] == (PATH, {"caller": "bob the other", "limit": "200"}))
        await deck.press("=", "/", *" out:", "enter")
        await deck.shows("✖ no field out")
        assert "outcome:refused" not in deck.lines()[1]
        await deck.press("escape", *":audit on:x", "enter", "/", *"yz")
        await deck.until(lambda: gateway.reads[-1] == (PATH, {"target": "xyz", "limit": "200"}))
        await deck.press("escape")
        await deck.press("escape", "j")
        await deck.until(lambda: deck.lines()[2].endswith("row 2"))
        gateway.answers[PATH] = {"rows": [act(3), act(2), act(1)], "head": 3}
        deck.clock.seconds += 3
        await deck.until(lambda: deck.lines()[2].endswith("row 3"))
        assert deck.view("audit").chosen.position == 1
        await deck.press("x")
        await deck.shows("this row is about no order and no saga")
        await deck.press("k", "x")
        await deck.until(lambda: deck.app.deck.current == "detail")


@pytest.mark.parametrize(
    ("status", "said"), [(403, "Only admins may see the audit"), (401, "A key is needed to see the audit")]
)
async def test_whoever_may_not_see_the_audit_is_told_so_and_is_not_refused_over_and_over(
    status: int, said: str
) -> None:
    gateway = desk(act(1))
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.press("7")
        await deck.shows("1 row, newest first")
        why = "this needs the role admin, and ana has reader"
        gateway.queries_down = ServiceRefused(status, "role_too_low", why)
        await deck.press("ctrl+r")
        await deck.shows(said)
        await deck.shows(why)
        await deck.shows("open the deck with a key that has the role admin")
        assert "10.0.0.7" not in deck.text()
        asked = len(gateway.reads)
        await deck.press("o", "/", "=", "y")
        await deck.shows(f"{said}: ctrl+r asks again")
        for _ in range(3):
            deck.clock.seconds += 10
            deck.app.deck.tick()
            await deck.pilot.pause()
        assert [path for path, _ in gateway.reads[asked:]].count(PATH) == 0
        gateway.queries_down = None
        await deck.press("ctrl+r")
        await deck.shows("1 row, newest first")
        gateway.queries_down = Unreachable("desk.test does not answer")
        deck.clock.seconds += 10
        await deck.shows("✖ desk.test does not answer")
        assert "10.0.0.7" in deck.text(), "what was known stays while nobody answers"


async def test_what_the_service_says_is_shown_as_text_and_rows_out_of_order_are_left_out() -> None:
    evil = "\x1b[2J[bold]gone[/bold]\u202e"
    names = ("action", "outcome", "caller", "on_behalf_of", "source", "target", "problem", "request_id", "detail")
    gateway = desk(act(5, **dict.fromkeys((*names, "key_id"), evil)), act(9), act(5), act(4))
    async with opened(gateway, size=(120, 36)) as deck:
        await deck.press("7")
        await deck.shows("[bold]gone[/bold]")
        assert "\x1b" not in deck.text()
        assert [row.position for row in deck.view("audit").model.rows] == [5, 4]
        await deck.press("G", "y", "enter", "o", "o", "o")
        assert deck.app.deck.current == "audit"


async def test_no_more_rows_are_held_than_are_allowed_however_far_one_goes_back() -> None:
    gateway = Trail(3_000)
    model = AuditModel(gateway)
    await model.search({})
    while model.older is not None:
        await model.extend()
        assert len(model.rows) <= MOST
    assert (model.rows[0].position, model.rows[-1].position, model.let_go) == (MOST, 1, True)
    gateway.count = 3_001
    assert await model.look() == 0, "rows that are newer than those that were dropped do not come before them"
    await model.search({})
    gateway.count = 3_003
    assert await model.look() == 2
    assert [row.position for row in model.rows[:3]] == [3_003, 3_002, 3_001]
    gateway.count = 9_000
    await model.look()
    assert [row.position for row in model.rows] == list(range(9_000, 9_000 - A_PAGE, -1)), "there is no gap"


async def test_a_rare_row_is_looked_for_a_few_pages_at_a_time() -> None:
    gateway = Trail(10_000, looked_at=1_000, only=2_500)
    async with opened(gateway, size=(80, 24)) as deck:
        await deck.press("7")
        await deck.shows("No row after position 6,000 fits this filter")
        assert len(gateway.reads) >= LOOKS
        await deck.press(".")
        await deck.until(lambda: deck.lines()[2].endswith("row 1"))
        assert [row.position for row in deck.view("audit").model.rows] == [2_500]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", {}),
        ("ana", {"caller": "ana"}),
        (ORDER, {"target": ORDER}),
        ("out:ref", None),
        ("outcome:ref from:10.0.0.7", {"outcome": "refused", "source": "10.0.0.7"}),
        ("since:-1h until:15:00", {"since": "2026-03-14T14:09:00+00:00", "until": "2026-03-14T15:00:00+00:00"}),
        ('action:"POST /api/v1/orders" request:r-1', {"action": "POST /api/v1/orders", "request_id": "r-1"}),
        ("before:#812", {"before": "812"}),
        ("before:0", None),
        ("before:" + "9" * 90, None),
        ("before:²", None),
        ("since:#5", None),
        ("outcome:maybe", None),
        ("ana bob", None),
        ("-caller:ana", None),
        ("caller>ana", None),
        ("caller:ana,bob", None),
    ],
)
def test_the_filter_line_becomes_what_the_service_is_asked(text: str, asked: dict[str, str] | None) -> None:
    if asked is None:
        with pytest.raises(FilterError):
            parse_audit_filter(text, NOW)
        return
    assert parse_audit_filter(text, NOW) == asked
    again = with_field(text, "caller", 'a "b"')
    assert parse_audit_filter(again, NOW) == {**asked, "caller": 'a "b"'}
