"""What a saga that only goes forward records when the provider refuses a step for good, and the keys of its calls."""

from __future__ import annotations

from msgspec.structs import replace

from core.domain import saga as e
from core.domain.message import payment_of
from core.domain.payment import PAYMENT
from core.sagas.actions import capture, renew, void
from core.sagas.progress import Progress, SagaStatus
from core.sagas.record import concluded, gave_up, provider_key
from core.sagas.saga import Effect, Instance, Move, Saga, next_move
from tests.support.saga_facts import RUNNING, SAGA_ID, order, payment, progress_at, types
from tests.support.sample_saga import SENDS
from tests.support.samples import NOW, ORDER_ID, authorized, capture_failed

FORWARD = SagaStatus.RUNNING


def the_move(saga: Saga, progress: Progress) -> Move:
    move = next_move(saga, progress)
    assert isinstance(move, Move)
    return move


def instance(saga: Saga, progress: Progress) -> Instance:
    return Instance(saga, SAGA_ID, ORDER_ID, progress)


def test_the_keys_of_a_second_authorisation_and_of_what_is_done_with_it_have_its_number() -> None:
    first = payment(authorized)
    second = PAYMENT.fold([replace(authorized, authorization_code="auth-2")], first)
    saga = instance(SENDS, progress_at(SENDS, FORWARD))
    keys = [provider_key(saga, call, paid) for call, paid in ((renew, first), (capture, second), (void, second))]
    assert keys == [f"{payment_of(ORDER_ID)}:{name}:2" for name in ("authorise", "capture", "void")]
    declined = PAYMENT.fold([capture_failed, replace(capture_failed, authorization=2)], first)
    assert provider_key(saga, renew, declined) == f"{payment_of(ORDER_ID)}:authorise:3", "2 was answered for good"


def test_a_refused_step_of_a_saga_that_only_goes_forward_fails_it_once_the_other_steps_are_done() -> None:
    before = instance(SENDS, progress_at(SENDS, FORWARD, RUNNING, attempts=20, announced=21))
    refused = concluded(before, the_move(SENDS, before.progress), Effect(refusal="it has expired"), NOW).events
    assert types(refused) == ["StepFailed capture"]
    ships = before.fold(refused, NOW)
    done = ships.fold(concluded(ships, the_move(SENDS, ships.progress), Effect(), NOW).events, NOW)
    assert next_move(SENDS, done.progress) is SagaStatus.FAILED
    end = gave_up(done, order())
    assert end == e.SagaFailed(
        saga_id=SAGA_ID, reason="it has expired", open_items=("2001.48 USD is shipped and not paid",)
    )


def test_a_saga_that_a_person_has_ended_records_nothing_more_about_itself() -> None:
    before = instance(SENDS, progress_at(SENDS, FORWARD, RUNNING, announced=1))
    move, ended = the_move(SENDS, before.progress), replace(before.progress, status=SagaStatus.RESOLVED)
    for effect in (Effect(), Effect(refusal="no"), Effect(then=renew)):
        assert concluded(instance(SENDS, ended), move, effect, NOW) == ([], ended)
