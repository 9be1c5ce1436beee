"""The deck's list of sagas, and one saga with its lanes: live, filtered, steered, exported."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion

from core.filters.words import FilterError
from tests.support.deck_harness import Deck, opened
from tests.support.fake_gateway import FakeGateway
from tests.support.pictured_sagas import DONE, STUCK, UNDER_WAY, at
from tests.support.pictures import entries_of, same_picture
from tests.support.saga_desk import SagaDesk, busy_desk
from tui.gateway import ServiceRefused, Unreachable
from tui.viewmodels.saga_filters import SagaQuery, parse_saga_filter

GOLDEN = Path(__file__).parent / "golden"
WITH = ("sagas", "saga", "detail", "orders")
SIZES = [(80, 24), (120, 36), (200, 60)]


async def board(deck: Deck) -> None:
    await deck.press("3")
    await deck.shows("row 1")


def rows(deck: Deck) -> list[str]:
    """The rows of the list, each as its saga and order."""
    return [line[1:30].strip() for line in deck.lines() if " ORD-0" in line]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_list_of_sagas_looks_like_its_picture(size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    gateway = busy_desk()
    async with opened(gateway, size=size, views=entries_of(*WITH)) as deck:
        await board(deck)
        await deck.press("h")  # all of them
        await deck.shows("completed")
        await same_picture(deck, GOLDEN / f"sagas-{size[0]}x{size[1]}.txt", snapshot, svg=size[0] == 120)
        await deck.press("j", "j", "j", "enter")
        await deck.shows("► authorize_payment")
        gateway.time = at(46)
        deck.app.deck.view.paint()
        deck.app.deck.tick()
        await same_picture(deck, GOLDEN / f"saga-{size[0]}x{size[1]}.txt", snapshot, svg=size[0] == 120)


async def test_the_list_opens_with_what_needs_attention_and_changes_as_sagas_do() -> None:
    gateway = busy_desk()
    async with opened(gateway, size=(120, 36)) as deck:
        await board(deck)
        assert rows(deck) == ["◄ fulfil_order ORD-0000000003", "✖ unwind_order ORD-0000000001"]
        assert "needs attention 2" in deck.text()
        assert "money open 3,897.00 USD" in deck.text()
        assert "wait for a runner" not in deck.text()
        gateway.backlog = {"due": 1_200, "due_for": 45.0, "unstarted": 34, "unstarted_for": 3.0}
        deck.clock.seconds += 6  # then the list is read again
        await deck.shows("money open 3,897.00 USD   wait for a runner 1,234, the oldest for 45.0s")
        gateway.backlog = {"due": 40, "due_for": 0.1}
        deck.clock.seconds += 6
        await deck.until(lambda: "wait for a runner" not in deck.text())
        stuck = gateway.sagas[next(key for key, saga in gateway.sagas.items() if saga.status == "FAILED")]
        gateway.become(stuck, status="RESOLVED", state=None)
        deck.clock.seconds += 1
        await deck.until(lambda: len(rows(deck)) == 1)
        under_way = gateway.sagas[next(key for key, saga in gateway.sagas.items() if saga.status == "RUNNING")]
        gateway.become(under_way, state="retrying", attempts=3, last_error="the provider is away")
        deck.clock.seconds += 1
        await deck.until(lambda: "◐ fulfil_order ORD-0000000005" in rows(deck))
        await deck.press("g")
        await deck.shows("authorize_payment try 4: the provider is away")
        await deck.press("h")
        await deck.shows("completed")
        assert len(rows(deck)) == 7
        gateway.start(DONE)
        deck.clock.seconds += 1
        await deck.until(lambda: "ORD-0000000007" in rows(deck)[0])
        await deck.pilot.click(offset=(deck.lines()[1].index("retrying") + 2, 1))
        await deck.until(lambda: len(rows(deck)) == 2)


async def test_a_saga_that_grows_overdue_without_an_event_is_seen() -> None:
    gateway = SagaDesk(UNDER_WAY)
    async with opened(gateway) as deck:
        await board(deck)
        [one] = gateway.sagas.values()
        gateway.sagas[one.saga_id] = replace(one, state="overdue")
        await deck.type("hhhh")
        await deck.shows("No saga here: retrying")
        await deck.press("h")
        await deck.until(lambda: len(rows(deck)) == 1)
        gateway.sagas[one.saga_id] = replace(one, state="running")
        deck.clock.seconds += 6
        await deck.shows("No saga here: overdue")


async def test_a_filter_finds_a_saga_by_what_y_has_copied_its_order_or_its_error() -> None:
    gateway = busy_desk()
    stuck = next(saga for saga in gateway.sagas.values() if saga.status == "FAILED")
    gateway.answers["/api/v1/orders/number/ORD-0000000001"] = {
        "order_id": stuck.order_id, "order_number": "ORD-0000000001", "customer_id": "c", "status": "CANCELLED",
        "total_amount": 1, "currency": "USD", "created_at": at(0).isoformat(), "updated_at": at(0).isoformat(),
        "version": 1,
    }  # fmt: skip
    async with opened(gateway) as deck:
        await board(deck)
        await deck.press("j", "y")
        for typed in (stuck.saga_id, stuck.order_id, "ord-0000000001", "name:unwind", "503 status:failed"):
            await deck.press("/")
            await deck.type(typed)
            await deck.press("enter")
            await deck.until(lambda: rows(deck) == ["✖ unwind_order ORD-0000000001"])
            await deck.press("escape")
            await deck.until(lambda: len(rows(deck)) == 2)
        await deck.press("/")
        await deck.type("stat:failed")
        await deck.shows("no field stat: did you mean state:?")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("state:fail,retry", SagaQuery(states=("failed", "retrying"))),
        ("STATUS:comp", "status:comp could be COMPENSATING or COMPLETED or COMPENSATED"),
        ("status:completed name:settle", SagaQuery(statuses=("COMPLETED",), name="settle")),
        ("answered 503", SagaQuery(error="answered 503")),
        ("error:503 away", SagaQuery(error="503 away")),
        ("http://x says no", SagaQuery(error="http://x says no")),
        ("state:", "state: needs a value"),
        ("state:x", "no state x: there are failed"),
        ("name:a name:b", "name: is given twice"),
        ("ord-1ab", SagaQuery(order="ORD-1AB")),
        ("order:519E1318-3463-50a2-8414-a303cbd422c0", SagaQuery(order="519E1318-3463-50a2-8414-a303cbd422c0")),
        ("", SagaQuery()),
    ],
)
def test_a_filter_line_becomes_a_query_or_a_sentence(text: str, query: SagaQuery | str) -> None:
    if isinstance(query, SagaQuery):
        assert parse_saga_filter(text) == query
    else:
        with pytest.raises(FilterError, match=query):
            parse_saga_filter(text)


async def test_a_saga_is_steered_with_a_reason_and_its_lanes_follow() -> None:
    gateway = SagaDesk(STUCK, DONE)
    stuck = next(iter(gateway.sagas.values()))
    async with opened(gateway, size=(80, 24)) as deck:
        await board(deck)
        await deck.press("enter")
        await deck.shows("► void_payment")
        await deck.press("V")
        await deck.shows("what is open you have settled elsewhere")
        assert "! 1299.00 USD may be authorised" in deck.text()
        await deck.press("enter")
        await deck.shows("a reason is needed")
        await deck.type("voided by phone")
        deck.clock.seconds += 1
        await deck.press("enter")
        await deck.shows("✔ RESOLVED")
        [(command, _)] = gateway.sent
        assert (command.verb, command.subject_id, command.kind) == ("resolve", stuck.saga_id, "saga")
        assert command.body["reason"] == "voided by phone"
        await deck.press("S")
        await deck.shows("this saga has ended: it is resolved")
        await deck.press("x")
        await deck.until(lambda: deck.app.deck.current == "detail")
        await deck.press("escape")
        await deck.until(lambda: deck.app.deck.current == "saga")
        assert len(gateway.sent) == 1


async def test_a_saga_is_live_and_says_when_it_cannot_be_read() -> None:
    gateway = SagaDesk(UNDER_WAY)
    gateway.time = at(3)
    [one] = gateway.sagas.values()
    async with opened(gateway, size=(120, 36)) as deck:
        await board(deck)
        await deck.press("enter")
        await deck.shows("held by saga-runner-4120")
        await deck.shows("◐ running")
        gateway.become(one, status="COMPLETED", state=None, lanes=DONE.lanes, claimed=False, held_by=None)
        deck.clock.seconds += 1
        await deck.shows("✔ COMPLETED")
        gateway.queries_down = Unreachable("desk.test does not answer")
        gateway.tell(one, "SagaCompleted")
        deck.clock.seconds += 1
        await deck.shows("not up to date: desk.test does not answer")
        assert "✔ COMPLETED" in deck.text(), "what was known stays"


async def test_the_picture_is_written_for_the_ticket_and_nobody_else_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with opened(SagaDesk(STUCK), size=(200, 60)) as deck:
        await board(deck)
        await deck.press("enter")
        await deck.shows("► void_payment")
        await deck.press("e")
        await deck.shows("written: ")
        text, image = sorted((tmp_path / "orderdeck").iterdir(), key=lambda file: file.suffix, reverse=True)
        assert str(text) in deck.text()
        assert " and .svg" in deck.text()
        assert "! 1299.00 USD may be authorised" in text.read_text()
        assert image.read_text().startswith("<svg")
        assert {stat.S_IMODE(file.stat().st_mode) for file in (text, image)} == {0o600}
        monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
        await deck.press("e")
        await deck.shows("the picture was not written")


async def test_of_an_older_service_the_steps_are_shown_and_that_is_said() -> None:
    gateway = busy_desk()
    gateway.tells_lanes = False
    async with opened(gateway) as deck:
        await board(deck)
        await deck.press("j", "enter")
        await deck.shows("this service does not tell the tries of each step")
        assert any("► void_payment" in line and "✖ failed" in line for line in deck.lines())


async def test_a_service_that_knows_no_sagas_is_told_and_the_deck_goes_on() -> None:
    gateway = FakeGateway()
    del gateway.answers["/api/v1/sagas"]
    async with opened(gateway) as deck:
        await deck.press("3")
        await deck.shows("The sagas could not be read")
        gateway.answers["/api/v1/sagas"] = {"sagas": []}
        await deck.press("ctrl+r")
        await deck.shows("No sagas yet")
        gateway.queries_down = ServiceRefused(503, "unavailable", "the database is away")
        await deck.press("ctrl+r")
        await deck.shows("the database is away")
