"""What needs a person: what is among it, in which order, how it is told, and what is known when nobody answers."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.support.deck_harness import Clock
from tests.support.troubles import TroubledDesk, saga
from tui.gateway import ServiceRefused, Unreachable
from tui.viewmodels.attention import ROWS, AttentionModel, Trouble
from tui.viewmodels.attention_rows import LINES, detail_lines, row_cells


async def read(gateway: TroubledDesk) -> AttentionModel:
    model = AttentionModel(gateway, Clock())
    await model.read()
    return model


def told(trouble: Trouble, gateway: TroubledDesk) -> list[str]:
    return [cell.text for cell in row_cells(trouble, gateway.time, old=False)]


async def test_daemons_come_first_and_then_the_most_money_at_risk() -> None:
    gateway = TroubledDesk()
    gateway.everything()
    model = await read(gateway)
    assert [(one.state, one.what) for one in model.troubles] == [
        ("NO ANSWER", "saga-runner"),
        ("NOT READY", "query-api"),
        ("LAGGING", "projector.orders"),
        ("FAILED", "ORD-TROUBLE001"),
        ("UNPAID", "ORD-UNPAID0001"),
        ("EXPIRING", "ORD-TROUBLE004"),
        ("RETRYING", "ORD-TROUBLE002"),
        ("OVERDUE", "ORD-TROUBLE003"),
    ]
    assert model.alarms is not None
    assert (model.alarms.count, model.alarms.more) == (8, False)
    assert model.alarms.money == {"EUR": Decimal("218.00"), "USD": Decimal("75.00")}


async def test_each_says_why_since_when_what_happens_by_itself_what_is_open_and_which_key_helps() -> None:
    gateway = TroubledDesk()
    gateway.everything()
    rows = {one.state: told(one, gateway)[2:] for one in (await read(gateway)).troubles}
    assert rows["FAILED"] == [
        "void_payment: the payment provider answered 503", "1m", "by hand", "129.00 EUR", "r", "retry…",
    ]  # fmt: skip
    assert rows["RETRYING"][2:] == ["in 8s", "40.00 EUR", "r", "retry…"]
    assert rows["OVERDUE"][:1] + rows["OVERDUE"][2:4] == [
        "void_payment: no runner takes it up, or its time is over", "in 8s", "",
    ]  # fmt: skip
    assert rows["EXPIRING"][2:] == ["3h", "49.00 EUR", "a", "ship, cancel…"]
    assert rows["UNPAID"][2:] == ["by hand", "75.00 USD", "⏎", "open"]
    assert rows["NO ANSWER"][0] == "does not answer at :9102"
    assert rows["LAGGING"][0] == "4,100 events behind the log, the oldest of them 0:00:12 old"


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=0.5), "now"),
        (timedelta(seconds=59), "in 59s"),
        (timedelta(minutes=12, seconds=3), "in 12m"),
        (timedelta(hours=5), "in 5h"),
    ],
)
async def test_the_next_try_is_told_in_one_unit(left: timedelta, words: str) -> None:
    gateway = TroubledDesk()
    gateway.show(saga(1, "retrying", None, gateway.time, next_attempt_at=(gateway.time + left).isoformat()))
    [trouble] = (await read(gateway)).troubles
    assert told(trouble, gateway)[4] == words


async def test_a_daemon_that_does_without_something_says_without_what() -> None:
    gateway, lacks = TroubledDesk(), "the payment provider does not answer"
    gateway.answers["/api/v1/daemons"] = {"daemons": [{"name": "saga-runner", "ready": True, "degraded": lacks}]}
    [trouble] = (await read(gateway)).troubles
    assert (trouble.state, trouble.what, trouble.why) == ("DEGRADED", "saga-runner", lacks)
    rows = gateway.answers["/api/v1/daemons"]["daemons"]
    rows += [{"name": name, "ready": True, "degraded": lacks} for name in ("saga-runner-2", "saga-runner-3")]
    rows += [
        {"name": "projector", "ready": True, "degraded": "Redis cannot be reached"},
        {"name": "relay", "ready": False},
    ]
    told = [(one.what, one.state) for one in (await read(gateway)).troubles]
    assert told == [("saga-runner", "DEGRADED"), ("projector", "DEGRADED"), ("relay", "NOT READY")], (
        "the same is told once"
    )


async def test_a_saga_that_is_worked_on_now_and_an_authorisation_that_has_ended_say_so() -> None:
    gateway = TroubledDesk()
    ended = (gateway.time - timedelta(hours=1)).isoformat()
    gateway.show(
        saga(1, "retrying", None, gateway.time, claimed=True, next_attempt_at=None),
        saga(2, "expiring", None, gateway.time, authorization_ends_at=ended),
    )
    assert [told(one, gateway)[4] for one in (await read(gateway)).troubles] == ["now", "ended"]


async def test_an_unpaid_order_whose_saga_failed_is_told_once() -> None:
    gateway = TroubledDesk()
    gateway.everything()
    unpaid = gateway.answers["/api/v1/orders"]["orders"][0]
    unpaid["order_id"] = saga(1, "failed", "129.00", gateway.time)["order_id"]
    assert "UNPAID" not in [one.state for one in (await read(gateway)).troubles]


async def test_the_lines_below_tell_all_of_the_chosen_one_within_eighty_columns() -> None:
    gateway = TroubledDesk()
    gateway.everything()
    long = "x " * 400
    gateway.answers["/api/v1/sagas"]["sagas"][0]["open"]["items"] = [long] * 50
    gateway.answers["/api/v1/sagas"]["sagas"][1]["last_error"] = long
    gateway.answers["/api/v1/sagas"]["sagas"][1]["open"]["money"]["amount"] = "12991299.00"
    for trouble in (await read(gateway)).troubles:
        lines = ["".join(cell.text for cell in line) for line in detail_lines(trouble, 78)]
        assert len(lines) <= LINES
        assert max(map(len, lines)) <= 80, trouble.state
        assert lines[0].startswith(f" {told(trouble, gateway)[0]} {trouble.what}")
        assert "enter" in lines[-1]
    assert detail_lines(None, 78) == []


async def test_what_was_known_stays_known_with_its_age_when_the_api_is_away() -> None:
    gateway, clock = TroubledDesk(), Clock()
    model = AttentionModel(gateway, clock)
    gateway.queries_down = Unreachable("it does not answer")
    await model.read()
    assert (model.alarms, model.age, model.error) == (None, None, "it does not answer")
    gateway.queries_down = None
    gateway.everything()
    await model.read()
    assert (len(model.troubles), model.age, model.error) == (8, None, "")
    clock.seconds += 3
    assert model.age is None
    gateway.queries_down = Unreachable("it does not answer")
    await model.read()
    assert (len(model.troubles), model.age) == (8, 3)
    clock.seconds += 60
    gateway.queries_down = None
    assert model.age == 63
    await model.read()
    assert model.age is None


async def test_a_stopped_daemon_is_told_even_while_the_sagas_cannot_be_read_and_the_reverse() -> None:
    gateway = TroubledDesk()
    gateway.everything()
    clock = Clock()
    model = AttentionModel(gateway, clock)
    await model.read()
    sagas = gateway.answers.pop("/api/v1/sagas")
    gateway.answers["/api/v1/daemons"]["daemons"][0] |= {"ready": False, "reason": "refused"}
    await model.read()
    assert model.troubles[0].what == "postgres"
    assert model.error == "there is no /api/v1/sagas"
    gateway.answers["/api/v1/sagas"] = sagas
    del gateway.answers["/api/v1/daemons"]  # a service of an older release
    await model.read()
    assert (model.troubles[0].what, len(model.troubles)) == ("postgres", 9)


async def test_beyond_the_rows_that_are_read_the_service_counts() -> None:
    gateway = TroubledDesk()
    gateway.show(*(saga(n, "retrying", "1.00", gateway.time) for n in range(ROWS + 50)))
    gateway.answers["/api/v1/sagas/summary"] = {
        "states": {"retrying": 7_000, "failed": 10_000, "running": 9},
        "at_risk": {"retrying": {"EUR": "7000.00"}, "failed": {"EUR": "1.00", "JPY": 5}, "running": {"EUR": "9.00"}},
        "capped": True,
    }
    model = await read(gateway)
    assert len(model.troubles) == ROWS
    assert model.alarms is not None
    assert (model.alarms.count, model.alarms.more) == (17_000, True)
    assert model.alarms.money == {"EUR": Decimal("7001.00"), "JPY": Decimal(5)}


async def test_each_request_is_bounded() -> None:
    gateway = TroubledDesk()
    await read(gateway)
    asked = dict(gateway.reads)
    assert asked["/api/v1/sagas"] == {
        "state": "failed,retrying,overdue,expiring", "sort": "-at_risk", "limit": "100",
    }  # fmt: skip
    assert asked["/api/v1/orders"] == {"payment": "UNPAID", "limit": "20"}
    assert len(gateway.reads) == 4


async def test_hostile_answers_do_no_harm() -> None:
    gateway = TroubledDesk()
    bad = "\x1b]52;c;x\x07[bold]" + "é" * 5_000
    money = {"amount": "9" * 40, "currency": bad}
    gateway.show(saga(1, "failed", "1.00", gateway.time, order_number=bad, last_error=bad, step=bad, at_risk=None))
    gateway.answers["/api/v1/sagas"]["sagas"][0]["open"] |= {"money": money, "items": [bad] * 100}
    gateway.answers["/api/v1/daemons"] = {"daemons": [{"name": bad, "ready": False, "reason": bad}] * 60}
    model = await read(gateway)
    assert len(model.troubles) == 51
    for trouble in model.troubles:
        text = "".join(told(trouble, gateway))
        assert "\x1b" not in text
        assert len(text) < 1_000
        assert detail_lines(trouble, 40)
    gateway.queries_down = ServiceRefused(500, "x", bad)
    await model.read()
    assert "\x1b" not in model.error
