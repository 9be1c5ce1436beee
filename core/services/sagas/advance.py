"""Advance: make the moves of one saga and record each of them, until the saga ends or must wait."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from core.domain.message import payment_of
from core.domain.provider import PaymentAnswer
from core.errors import GatewayNotTried, GatewayTimeout, GatewayUnavailable, OrderdeckError
from core.ports.clock import Clock
from core.ports.log import Accepted, Conflict, EventStore, LeaseLost, Verdict
from core.ports.payments import PaymentGateway
from core.sagas.actions import created, quantities
from core.sagas.progress import StepStatus
from core.sagas.record import Record, announced, call_due, concluded, failed
from core.sagas.saga import Call, Effect, Local, Move, Stream, next_move
from core.services.sagas.measure import measure_call
from core.services.sagas.step_spans import StepSpans
from core.services.sagas.stock import StockDesk
from core.services.sagas.waiting import HOLD
from core.services.sagas.work import SagaAppend, Work, draft, load_work, with_move

FIRST_PAUSE = 0.5  # seconds
LONGEST_PAUSE = 60.0  # seconds
LONGEST_WANTED = 900.0  # seconds: if the provider asks for a longer pause than this, we wait this long

log = structlog.get_logger(__name__)


class LeaseGone(OrderdeckError):
    """Another runner has claimed the saga, so this runner stops working on it."""


@dataclass(frozen=True)
class World:
    """What the steps act on. `scale` multiplies every deadline."""

    store: EventStore
    stock: StockDesk
    gateway: PaymentGateway
    clock: Clock
    scale: float = 1.0


async def begin(world: World, start: SagaAppend) -> Verdict:
    """Record the start of a saga, and together with it the step on stock that comes first, if all it needs is known.

    If that is refused or fails, the start is recorded alone, and the step is made like any other. So an order that has
    changed, or stock that cannot be read, keeps no saga from being started.
    """
    work, move = start.work, start.next
    is_ours, is_known = start.due_in is None, work.order.version > 0
    action = move.action if isinstance(move, Move) and is_ours and is_known else None
    if isinstance(move, Move) and isinstance(action, Local) and "stock" in action.reads:
        with StepSpans(work) as spans, contextlib.suppress(Exception):
            spans.begin(move)
            decide = partial(with_move, start, move, action, world.clock.now())
            if isinstance(verdict := await world.stock.run(list(quantities(work.order.state)), decide), Accepted):
                return verdict
    return await _send(world, start)


async def advance(world: World, work: Work) -> None:
    """Make one move after the other, until the saga ends or is parked.

    Raises LeaseGone, and Unavailable while the database is away; in both cases the log says how far the saga has come.
    """
    with StepSpans(work) as spans:
        while isinstance(move := next_move(work.saga, work.progress), Move):
            spans.begin(move)
            match move.action:
                case Local() as action if "stock" in action.reads:
                    verdict = await _decide_on_stock(world, work, move, action)
                case Local() as action:
                    effect = action.decide(work.facts(world.clock.now()))
                    verdict = await _decide_alone(world, work, move, effect, action.reads)
                case Call() as call:
                    verdict = await _call(world, work, move, call, spans)
                case _:
                    raise AssertionError("a step with nothing to do is recorded with the one before it")
            match verdict:
                case None:
                    return  # the saga is parked until its due time
                case Conflict():
                    await refresh(world, work)
                case LeaseLost():
                    raise LeaseGone
                case _:
                    pass


async def refresh(world: World, work: Work) -> None:
    """Read the streams again after a conflict: an operator, a caller of the API or a lost append of ours was first."""
    latest = await load_work(world.store, work.saga, work.saga_id, work.order_id, owner=work.owner, epoch=work.epoch)
    if latest is None:
        raise LeaseGone
    work.version, work.progress, work.cause = latest.version, latest.progress, latest.cause
    work.order, work.payment = latest.order, latest.payment


# --- decide, and append -------------------------------------------------------------------------------------
async def _decide_alone(world: World, work: Work, move: Move, effect: Effect, reads: frozenset[Stream]) -> Verdict:
    return await _send(world, _conclude(world, work, move, effect, reads))


async def _decide_on_stock(world: World, work: Work, move: Move, action: Local) -> Verdict:
    now = world.clock.now()
    return await world.stock.run(
        list(quantities(work.order.state)),
        lambda stock: _conclude(world, work, move, action.decide(work.facts(now, stock)), action.reads),
    )


def _conclude(world: World, work: Work, move: Move, effect: Effect, reads: frozenset[Stream]) -> SagaAppend:
    now = world.clock.now()
    return draft(work, effect, concluded(work, move, effect, now, work.payment.state), now, reads=reads)


async def _send(world: World, saga_append: SagaAppend) -> Verdict:
    verdict = await world.store.append(saga_append.append())
    if isinstance(verdict, Accepted):
        saga_append.applied()
    return verdict


# --- call the provider --------------------------------------------------------------------------------------
async def _call(world: World, work: Work, move: Move, call: Call, spans: StepSpans) -> Verdict | None:
    now = world.clock.now()
    instead = call.before(work.facts(now))
    if instead is not None:
        return await _decide_alone(world, work, move, instead, call.reads)
    call, key = call_due(work, call, work.payment.state, now)
    if work.progress.announced <= work.progress.attempts or work.progress.key != key:
        record = Record.of(work, [announced(work, move, key)], now)
        return await _send(world, draft(work, Effect(), record, now, reads=call.reads))
    try:
        answer = await _call_or_look_up(world, work, call, key)
    except GatewayNotTried as error:
        return await _wait_for_provider(world, work, call, error)
    except (GatewayUnavailable, GatewayTimeout) as error:
        return await _try_later(world, work, move, call, error)
    return await _record_answer(world, work, move, call, answer, spans)


async def _call_or_look_up(world: World, work: Work, call: Call, key: str) -> PaymentAnswer:
    """Call the provider. If no answer comes, look up whether the provider did it before anything is decided."""
    try:
        return await measure_call(call.operation, _call_gateway(world.gateway, work, call, key))
    except GatewayTimeout as error:
        log.warning("no answer from the provider, looking it up", key=key, reason=str(error))
        try:
            answer = await measure_call("look_up", world.gateway.look_up(key))
        except GatewayNotTried:
            raise error from None  # the first call was made, so it counts as a try
        if answer is None:
            raise
        return answer


async def _call_gateway(gateway: PaymentGateway, work: Work, call: Call, key: str) -> PaymentAnswer:
    order, payment_id = created(work.order.state), payment_of(work.order_id)
    facts = work.facts(order.created_at)
    reason = facts.reason or "cancelled"
    match call.operation:
        case "authorise":
            return await gateway.authorise(
                key,
                payment_id=payment_id,
                order_id=work.order_id,
                amount=order.total_amount,
                currency=order.currency,
                method=order.payment_method.type,
            )
        case "capture":
            return await gateway.capture(key, payment_id=payment_id, amount=work.payment.state.amount)
        case "void":
            return await gateway.void(key, payment_id=payment_id, reason=reason)
        case "refund":
            return await gateway.refund(key, payment_id=payment_id, amount=call.amount(facts), reason=reason)


# --- record the provider's answer ---------------------------------------------------------------------------
async def _record_answer(
    world: World, work: Work, move: Move, call: Call, answer: PaymentAnswer, spans: StepSpans
) -> Verdict | None:
    """Record the provider's answer. After a conflict, read the streams again and repeat, so that no answer is lost."""
    while True:
        effect = call.record(work.facts(world.clock.now()), answer)
        alone = _conclude(world, work, move, effect, frozenset({"payment"}))
        together, next_moves = _with_next_moves(world, alone)
        verdict = await _send(world, together)
        if isinstance(verdict, Accepted):
            for each in next_moves:
                spans.begin(each)
        if not isinstance(verdict, Conflict):
            return verdict
        await refresh(world, work)
        if not _has_no_outcome(work, move):
            return verdict


def _with_next_moves(world: World, first: SagaAppend) -> tuple[SagaAppend, Sequence[Move]]:
    """The same append with the moves that come next and need neither stock nor a call; and these moves.

    A move that cannot be decided is left out, so the answer is recorded in any case.
    """
    whole, moves = first, list[Move]()
    while isinstance(move := whole.next, Move):
        if not isinstance(move.action, Local) or "stock" in move.action.reads:
            break
        try:
            whole = with_move(whole, move, move.action, world.clock.now())
        except Exception:  # noqa: BLE001 - the saga's next move, once this append is recorded, raises it again
            break
        moves.append(move)
    return whole, moves


def _has_no_outcome(work: Work, move: Move) -> bool:
    """Whether the step's outcome is not in the log yet."""
    return work.progress.of(move.step.name) in {StepStatus.RUNNING, StepStatus.COMPENSATING}


# --- or try later -------------------------------------------------------------------------------------------
async def _try_later(
    world: World, work: Work, move: Move, call: Call, error: GatewayUnavailable | GatewayTimeout
) -> Verdict | None:
    """Record the failed try and park the saga. Returns None when the saga is parked.

    The append guards the streams that the call reads. Without that, a saga could be parked after its order was
    cancelled, and nobody would wake it.
    """
    requested_pause = error.retry_after if isinstance(error, GatewayUnavailable) and error.retry_after else 0.0
    pause = timedelta(seconds=min(requested_pause, LONGEST_WANTED) + backoff(work.progress.attempts))
    now = world.clock.now()
    record = failed(work, move, str(error), now, pause, world.scale)
    same_move = next_move(work.saga, record.progress) == move  # if not, the saga goes on at once
    saga_append = draft(work, Effect(), record, now, reads=call.reads, due_in=pause if same_move else None)
    verdict = await _send(world, saga_append)
    return None if same_move and isinstance(verdict, Accepted) else verdict


async def _wait_for_provider(world: World, work: Work, call: Call, error: GatewayNotTried) -> Verdict | None:
    """Park the saga without an event, because a call that was not made does not count as a try."""
    unchanged = Record([], work.progress)
    saga_append = draft(
        work, Effect(), unchanged, world.clock.now(), reads=call.reads, due_in=HOLD, waits_for=str(error)
    )
    verdict = await _send(world, saga_append)
    if not isinstance(verdict, Accepted):
        return verdict
    work.waits_for_provider = True
    return None


def backoff(attempts: int) -> float:
    """Seconds before the next try, with full jitter: Brooker, "Exponential Backoff And Jitter" (2015)."""
    doubled = FIRST_PAUSE * 2.0 ** min(attempts, 16)  # a step that is tried for ever would overflow the float
    return random.uniform(0, min(LONGEST_PAUSE, doubled))  # noqa: S311 - jitter
