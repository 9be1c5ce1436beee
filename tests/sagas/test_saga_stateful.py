"""Whatever happens to orders, runners, operators and the provider, in whatever order: the sagas keep their promises.

What runs here is what is shipped: the saga runner, its steps, the stock desk, commands and operators' wishes, and all
the pure tables below them. Only the ports are played: a log and rows in memory with the verdicts of `append_events`,
the in-memory provider behind a bad wire, and an event loop whose time passes on demand. Every call of a port stands
still before and after it, so a rule may let one go on, kill its program there, or let it come back as a zombie. An
interpreter of the pure functions alone would be simpler, and would test itself.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.domain.message import StreamId, payment_of, saga_of
from core.domain.order import CancelOrder, ConfirmOrder, DeliverOrder, OrderCommand, ShipOrder
from core.domain.payment import PaymentAuthorized
from core.sagas.wishes import Wish
from tests.support.faulty_provider import Mood
from tests.support.played_desk import RELEASES, PlayedDesk
from tests.support.promises import FULFIL, SETTLE, UNWIND
from tests.support.strategies import EVERY_HEALTH_CHECK

METHODS = (
    "card",
    "card",
    "test_card_fail",
    "test_card_timeout",
    "test_card_flaky",
    "test_card_void_never",
    "test_card_expires",
    "test_card_expires_fail",
)
MOST_ORDERS = 4
CALLS_OF_A_FULFILMENT = 20  # the last of them finds it ended

runners = st.sampled_from(["first", "second"])
numbers = st.integers(0, 3)
calls = st.integers(1, 12)


class Desk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.desk = PlayedDesk()
        self.last_command: type[OrderCommand] | None = None
        self.last_wish = Wish.RETRY
        for name in ("first", "second"):
            self.desk.is_born(name)

    @initialize(
        method=st.sampled_from(METHODS),
        mood=st.sampled_from(Mood),
        calls=st.integers(0, CALLS_OF_A_FULFILMENT),
        kind=st.sampled_from([None, ConfirmOrder, CancelOrder, ShipOrder]),
        last_command=st.sampled_from([None, CancelOrder, ShipOrder]),
        last_wish=st.sampled_from(Wish),
    )
    def something_happens_to_an_order_under_way(
        self,
        method: str,
        mood: Mood,
        calls: int,
        kind: type[OrderCommand] | None,
        last_command: type[OrderCommand] | None,
        last_wish: Wish,
    ) -> None:
        self.last_command, self.last_wish = last_command, last_wish
        self.desk.provider.mood = mood
        self.desk.place(method, (2, 1))
        self.desk.hears_news("first")
        self.desk.runners["first"].goes_on(calls)
        if kind is not None:
            self.desk.command(kind, self.desk.orders[0], calls=20)

    # --- runners --------------------------------------------------------------------------------------------
    @rule(name=runners)
    def a_runner_hears_what_is_new(self, name: str) -> None:
        self.desk.hears_news(name)

    @rule(name=runners, back=st.integers(1, 30), count=st.integers(1, 30), reverse=st.booleans())
    def a_runner_hears_it_again(self, name: str, back: int, count: int, *, reverse: bool) -> None:
        reached = self.desk.reached()
        since = max(0, reached - back)
        batch = self.desk.log.events[since : min(reached, since + count)]
        self.desk.runners[name].hears(batch[::-1] if reverse else batch)

    @rule(name=runners)
    def a_runner_claims(self, name: str) -> None:
        self.desk.runners[name].claims()

    @rule(name=runners)
    def a_runner_renews_its_leases(self, name: str) -> None:
        self.desk.runners[name].renews()

    @rule(name=runners, calls=calls, pick=numbers, fault=st.sampled_from([False, False, False, True]))
    def a_runner_goes_on(self, name: str, calls: int, pick: int, *, fault: bool) -> None:
        self.desk.runners[name].goes_on(calls, pick=pick, fault=fault)

    @rule(name=runners, calls=st.sampled_from([10, 30, 100]), seconds=st.sampled_from([0.0, 0.0, 35.0]))
    def a_runner_works(self, name: str, calls: int, seconds: float) -> None:
        self.desk.loop.pass_time(seconds)
        for _ in range(3):
            self.desk.hears_news(name)
            self.desk.runners[name].claims()
            self.desk.runners[name].goes_on(calls)

    @rule(name=runners)
    def a_runner_is_killed(self, name: str) -> None:
        self.desk.is_born(name)

    @rule(release=st.sampled_from(sorted(RELEASES)))
    def another_release_is_installed(self, release: str) -> None:
        self.desk.release = release

    # --- the world ------------------------------------------------------------------------------------------
    @rule(seconds=st.sampled_from([0.5, 3.0, 31.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.desk.loop.pass_time(seconds)

    @rule(mood=st.sampled_from(Mood))
    def the_provider_changes(self, mood: Mood) -> None:
        self.desk.provider.mood = mood

    @rule(n=numbers)
    def the_provider_lets_go_of_an_amount(self, n: int) -> None:
        self.desk.provider.voids(payment_of(self.desk.orders[n % len(self.desk.orders)]))

    @rule()
    def late_requests_arrive(self) -> None:
        self.desk.late_requests_arrive()

    # --- people ---------------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.desk.orders) < MOST_ORDERS)
    @rule(method=st.sampled_from(METHODS), a=st.integers(1, 3), b=st.integers(0, 2))
    def an_order_is_placed(self, method: str, a: int, b: int) -> None:
        self.desk.place(method, (a, b))

    @rule(n=numbers, kind=st.sampled_from([ConfirmOrder, CancelOrder, ShipOrder, DeliverOrder]), calls=calls)
    def somebody_commands(self, n: int, kind: type[OrderCommand], calls: int) -> None:
        self.desk.command(kind, self.desk.orders[n % len(self.desk.orders)], calls=calls)

    @rule(n=numbers, name=st.sampled_from([FULFIL, SETTLE, UNWIND]), wish=st.sampled_from(Wish), calls=calls)
    def an_operator_wishes(self, n: int, name: str, wish: Wish, calls: int) -> None:
        self.desk.wish(wish, saga_of(self.desk.orders[n % len(self.desk.orders)], name), calls=calls)

    @precondition(lambda self: self.desk.failed())
    @rule(n=numbers, wish=st.sampled_from(Wish), calls=calls)
    def an_operator_steers_what_has_failed(self, n: int, wish: Wish, calls: int) -> None:
        failed = self.desk.failed()
        self.desk.wish(wish, failed[n % len(failed)], calls=calls)

    @rule(calls=calls, pick=numbers)
    def people_go_on(self, calls: int, pick: int) -> None:
        self.desk.people.goes_on(calls, pick=pick)

    # --- promises -------------------------------------------------------------------------------------------
    @invariant()
    def promises_are_kept(self) -> None:
        self.desk.keeps_its_promises()

    def teardown(self) -> None:
        desk = self.desk
        try:
            desk.faults_end()
            desk.comes_to_rest()
            desk.late_requests_arrive()
            desk.comes_to_rest()
            if self.last_command is not None:
                for order_id in desk.orders:
                    desk.command(self.last_command, order_id)
                desk.comes_to_rest()
            for saga_id in list(desk.log.rows):
                desk.wish(self.last_wish, saga_id)
            desk.comes_to_rest()
            desk.provider_is_mended()
            for saga_id in desk.failed():
                desk.wish(Wish.RETRY, saga_id)
            desk.comes_to_rest(mended=True)
        finally:
            desk.ends()


TestDesk = Desk.TestCase
TestDesk.settings = settings(suppress_health_check=EVERY_HEALTH_CHECK)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize(
    "kind", [None, ConfirmOrder, CancelOrder, ShipOrder], ids=lambda kind: getattr(kind, "__name__", "kill")
)
def test_sagas_keep_their_promises_when_a_command_or_a_kill_meets_any_call_of_a_fulfilment(
    mood: Mood, kind: type[OrderCommand] | None
) -> None:
    for calls in range(CALLS_OF_A_FULFILMENT):
        machine = Desk()
        machine.something_happens_to_an_order_under_way("card", mood, calls, kind, None, Wish.RETRY)
        if kind is None:
            machine.a_runner_is_killed("first")
        try:
            machine.promises_are_kept()
        finally:
            machine.teardown()


@pytest.mark.parametrize("confirmed", [True, False])
@pytest.mark.parametrize("by", ["customer", "operator"])
def test_a_fulfilment_that_an_operator_compensates_at_any_call_records_the_answer_and_confirms_no_order(
    by: str, *, confirmed: bool
) -> None:
    for calls in range(CALLS_OF_A_FULFILMENT):
        desk = PlayedDesk()
        desk.is_born("last")
        desk.place("card", (2, 1))
        (order_id,) = desk.orders
        if confirmed:
            desk.command(ConfirmOrder, order_id, calls=20)
        desk.hears_news("last")
        desk.runners["last"].goes_on(calls)
        if by == "customer":
            desk.command(CancelOrder, order_id, calls=20)
        else:
            desk.wish(Wish.COMPENSATE, saga_of(order_id, FULFIL), calls=20)
        try:
            desk.comes_to_rest(mended=True)
            kinds = [type(recorded.event) for recorded in desk.log.events_of(StreamId(payment_of(order_id)))]
            charge = desk.provider.real._charges.get(payment_of(order_id))
            assert (PaymentAuthorized in kinds) == (charge is not None and charge.authorised > 0)
        finally:
            desk.ends()


@pytest.mark.parametrize(("release", "while_it_cannot"), [("former", "RUNNING"), ("this", "FAILED")])
def test_a_payment_that_could_not_be_voided_is_voided_once_the_provider_does_it(
    release: str, while_it_cannot: str
) -> None:
    """The former release's unwind_order tries for ever; this release's gives up, and an operator lets it try again."""
    desk = PlayedDesk()
    desk.release = release
    desk.is_born("first")
    desk.place("test_card_void_never", (2, 1))
    (order_id,) = desk.orders
    unwind = saga_of(order_id, UNWIND)
    try:
        desk.hears_news("first")
        desk.runners["first"].goes_on(CALLS_OF_A_FULFILMENT)
        desk.command(CancelOrder, order_id, calls=20)
        desk.hears_news("first")
        desk.runners["first"].goes_on(20)
        desk.faults_end()
        desk.comes_to_rest()
        assert desk.log.rows[unwind].last.status == while_it_cannot
        desk.provider_is_mended()
        for saga_id in desk.failed():
            desk.wish(Wish.RETRY, saga_id)
        desk.comes_to_rest(mended=True)
        assert desk.log.rows[unwind].last.status == "COMPLETED"
        assert desk.provider.state(payment_of(order_id)) == "voided"
    finally:
        desk.ends()


@pytest.mark.parametrize("resolved_first", [True, False])
def test_an_order_is_unwound_if_it_is_cancelled_after_a_person_resolved_its_fulfilment_and_not_if_before(
    *, resolved_first: bool
) -> None:
    desk = PlayedDesk()
    desk.is_born("first")
    desk.place("card", (2, 1))
    (order_id,) = desk.orders
    fulfil, payment_id = saga_of(order_id, FULFIL), payment_of(order_id)
    try:
        desk.hears_news("first")
        desk.runners["first"].goes_on(5)  # it is charged, and not confirmed yet
        desk.provider.mood = Mood.REFUSES_UNDOS
        desk.wish(Wish.COMPENSATE, fulfil, calls=20)
        desk.runners["first"].goes_on(20)
        assert desk.failed() == [fulfil]
        assert desk.provider.state(payment_id) == "authorised"
        if resolved_first:
            desk.wish(Wish.RESOLVE, fulfil, calls=20)
        desk.command(CancelOrder, order_id, calls=20)
        if not resolved_first:
            desk.wish(Wish.RESOLVE, fulfil, calls=20)
        desk.faults_end()
        desk.comes_to_rest(mended=True)
        assert (saga_of(order_id, UNWIND) in desk.log.rows) is resolved_first
        assert desk.provider.state(payment_id) == ("voided" if resolved_first else "authorised")
    finally:
        desk.ends()
