"""Measures sagas for /metrics: what became of each step, how long sagas took, and how the provider answered."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TypeVar

from core.domain import saga as events
from core.domain.message import Event
from core.domain.provider import Approved, Declined, Refused
from core.errors import GatewayNotTried, GatewayTimeout, GatewayUnavailable
from core.metrics import PROVIDER_SECONDS, SAGA_SECONDS, SAGA_STEPS
from core.tracing import exemplar, span

A = TypeVar("A")

ENDS: dict[type[Event], str] = {
    events.SagaCompleted: "completed",
    events.SagaCompensated: "compensated",
    events.SagaFailed: "failed",
}
ANSWERS: dict[type[object], str] = {
    Approved: "approved",
    Declined: "declined",
    Refused: "refused",
    type(None): "unknown",
}

# Each is looked up once: there are only as many as the tables have steps and outcomes.
_calls, _sagas, _steps = cache(PROVIDER_SECONDS.labels), cache(SAGA_SECONDS.labels), cache(SAGA_STEPS.labels)


def measure_saga(saga: str, recorded: Sequence[Event], started_at: datetime) -> None:
    """Count the events that a saga has just recorded. An event of an operator is none of a step's own outcomes."""
    for event in recorded:
        if isinstance(event, events.StepEvent) and (outcome := _outcome(event)):
            _steps(saga, event.step, outcome).inc()
        elif end := ENDS.get(type(event)):
            took = (datetime.now(UTC) - started_at).total_seconds()
            _sagas(saga, end).observe(max(0.0, took), exemplar())


def _outcome(event: events.StepEvent) -> str | None:
    match event:
        case events.SagaStepCompleted():
            return "done"
        case events.SagaStepCompensated():
            return "undone"
        case events.SagaStepFailed(final=final):
            return "failed" if final else "retried"
        case events.SagaCompensationFailed(final=final):
            return "undo_failed" if final else "undo_retried"
        case _:
            return None


async def measure_call(operation: str, call: Awaitable[A]) -> A:
    """Wait for a call to the provider. How it went, and how long it took, is measured, whatever comes of it."""
    with span(f"provider {operation}", kind="client") as recorded:
        began, outcome = time.perf_counter(), "broken_off"
        try:
            answer = await call
            outcome = ANSWERS[type(answer)]
            return answer  # noqa: TRY300 - `outcome` belongs to it
        except GatewayNotTried:
            outcome = "not_tried"
            raise
        except GatewayTimeout:
            outcome = "no_answer"
            raise
        except GatewayUnavailable:
            outcome = "unavailable"
            raise
        finally:
            _calls(operation, outcome).observe(time.perf_counter() - began, exemplar())
            if recorded is not None:
                recorded.note("orderdeck.outcome", outcome)
