"""D and :compare show what changed between two moments; nothing that an operator types or a service says breaks it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from core.filters.words import FilterError
from tests.support.deck_harness import desk_with, opened
from tests.support.fake_gateway import FakeGateway
from tests.support.pictures import entries_of, same_picture
from tui import past_gateway
from tui.gateway import COMPARE, BeingMade, ServiceRefused, Shape
from tui.viewmodels.two_moments import ComparisonModel, Moments, progress, two_moments

GOLDEN = Path(__file__).parent / "golden"
SIZES = [(80, 24), (120, 36), (200, 60)]
NOW = datetime(2026, 3, 14, 15, 30, tzinfo=UTC)


def change(before: Any, after: Any) -> dict[str, Any]:
    return {"before": before, "after": after}


def comparison(**more: Any) -> dict[str, Any]:
    sales = {"orders": change(120, 165), "confirmed": change(80, 79), "cancelled": change(4, 4)}
    level = {"on_hand": change(40, 30), "reserved": change(2, 2), "available": change(38, 28)}
    return {
        "earlier": {"position": 1_200, "time": "2026-03-14T09:00:00Z"},
        "later": {"position": 48_201, "time": None},
        "statuses": {"CREATED": change(12, 15), "CONFIRMED": change(80, 79), "CANCELLED": change(4, 4)},
        "payments": {"AUTHORIZED": change(70, 75)},
        "sales": [{"currency": "EUR", **sales, "revenue": change("1203.00", "1503.50")}],
        "stock": [{"sku": "LAPTOP-001", **level}],
        **more,
    }


def desk(**more: Any) -> FakeGateway:
    gateway = desk_with(3)
    gateway.answers[COMPARE] = comparison(**more)
    return gateway


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_comparison_of_two_moments_looks_like_its_picture(
    size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with opened(desk(), size=size, views=entries_of("orders", "compare")) as deck:
        deck.app.deck.moments.compare("09:00")
        await deck.shows("LAPTOP-001")
        await same_picture(deck, GOLDEN / f"compare-{size[0]}x{size[1]}.txt", snapshot, svg=size[0] == 120)


async def test_d_asks_for_two_moments_and_a_wrong_one_is_said_in_the_question() -> None:
    gateway = desk()
    async with opened(gateway) as deck:
        await deck.press("D")
        await deck.type("soon")
        await deck.press("enter")
        assert "'soon' is no time and no position" in deck.text()
        await deck.press(*["backspace"] * 4)
        await deck.type("-55m")
        await deck.press("enter")
        await deck.shows("LAPTOP-001  available")
        [asked] = [asked for path, asked in gateway.reads if path == COMPARE]
        assert asked == {"from": (gateway.time - timedelta(minutes=55)).isoformat()}, "the second one was now"
        assert "+300.50 EUR" in deck.text()
        await deck.press("f")
        assert "cancelled" not in deck.text(), "only what changed"
        await deck.press("f", "j", "enter")
        await deck.until(lambda: deck.app.deck.current == "orders")
        assert deck.view("orders").filter.value == "status:created"
        await deck.press("[")
        assert deck.app.deck.current == "compare"
        await deck.press("D")
        assert "-55m" in deck.text(), "what was asked before stands there again"


async def test_from_the_past_its_moment_is_compared_with_now() -> None:
    gateway = desk()
    async with opened(gateway) as deck:
        deck.app.deck.moments.look_at("#4")
        await deck.handled()
        await deck.press("D", "enter")
        await deck.until(lambda: "LAPTOP-001" in deck.text())
        assert [asked for path, asked in gateway.reads if path == COMPARE] == [{"from": "4"}], (
            "it has no as_of of its own"
        )


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("09:00", ("2026-03-14T09:00:00+00:00", "now")),
        ("-55m", ("2026-03-14T14:35:00+00:00", "now")),
        ("#1200 .. 48,201", ("1200", "48201")),
        ("1200 to now", ("1200", "now")),
        ("yesterday 18:00..2026-03-14T09:00:00+02:00", ("2026-03-13T18:00:00+00:00", "2026-03-14T07:00:00+00:00")),
        ("0", ("0", "now")),
    ],
)
def test_moments_are_read_as_operators_type_them(typed: str, asked: tuple[str, str]) -> None:
    assert two_moments(typed, NOW) == asked


@pytest.mark.parametrize(
    "typed", ["", " .. 09:00", "soon", "09:00 .. soon", "2999-01-01", "09:00 .. 10:00 .. 11:00", "#", "9" * 40]
)
def test_what_is_no_moment_is_refused_in_a_sentence(typed: str) -> None:
    with pytest.raises(FilterError, match=r".+"):
        two_moments(typed, NOW)


async def test_how_far_a_moments_lists_are_stands_in_the_view_and_an_outage_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(past_gateway, "ASK_AGAIN", 0.0)
    gateway, left = desk(), [BeingMade(1_000_000, 450_000, 9.0), ServiceRefused(503, "away", "the database is away")]

    async def read(path: str, shape: type[Shape], params: Any = None, *, service: str = "queries") -> Shape:
        del service
        if path == COMPARE and left:
            raise left[0] if len(left) == 2 and len(seen) < 3 and not seen.append(1) else left.pop()
        return await FakeGateway.read(gateway, path, shape, params)

    seen: list[int] = []
    gateway.read = read  # type: ignore[method-assign, assignment]
    model, lines = ComparisonModel(gateway, Moments("1", "now")), list[str]()
    await model.load(lambda: lines.append("" if model.making is None else f"{model.making.done:,}"))
    assert lines == ["450,000", "450,000", "450,000", ""]
    assert model.error == "the database is away"
    assert progress(BeingMade(10, 0, waits_for=3)) == "waits until 1 of 3 other moments is unused for 20 s"


@pytest.mark.parametrize(
    "more",
    [
        {"sales": [{"currency": "\x1b[1mX" * 9, **{n: change(0, 1) for n in ("orders", "confirmed", "cancelled")},
                    "revenue": change("1e999999", "-1e999999")}]},
        {"statuses": {f"S{n}": change(n, 2**63 - 1) for n in range(9_000)}},
        {"statuses": {}, "payments": {}, "sales": [], "stock": [], "stock_cut": True, "estimated": True},
    ],
)  # fmt: skip
async def test_whatever_a_service_answers_is_shown_within_bounds(more: dict[str, Any]) -> None:
    async with opened(desk(**more)) as deck:
        deck.app.deck.moments.compare("1")
        await deck.until(lambda: deck.view("compare").rows)
        assert len(deck.view("compare").rows) <= 5_000
        assert "\x1b" not in deck.text()
