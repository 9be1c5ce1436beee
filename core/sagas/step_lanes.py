"""Lanes: what a person sees of one saga: each step beside what undoes it, with every try of both. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from core.domain import saga as events
from core.domain.message import Event
from core.domain.order import Order
from core.domain.saga import Direction
from core.sagas.holdings import open_of_step, sentences
from core.sagas.progress import ENDED, MAY_HAVE_HAPPENED, Progress, SagaStatus, StepStatus, evolve
from core.sagas.saga import Nothing, Saga, Step

MOST_TRIES = 100
"""So many tries of a lane are kept, the last ones: a step that is tried for ever would have more and more of them."""

ForwardStatus = Literal["PENDING", "RUNNING", "DONE", "FAILED", "SKIPPED"]
UndoStatus = Literal["NOT_NEEDED", "PENDING", "RUNNING", "DONE", "FAILED", "SKIPPED"]
Outcome = Literal["running", "ok", "failed", "skipped"]

_BEING_UNDONE = frozenset({StepStatus.COMPENSATING, StepStatus.COMPENSATION_FAILED})
UNKNOWN_TABLE = "this release does not know what this step does"


class Try(Struct, kw_only=True):
    """One try of a step, or of its undo. `final`: a further try would not help. `retry_at`: when it is repeated."""

    direction: Direction
    attempt: int
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome = "running"
    error: str = ""
    retry_at: datetime | None = None
    final: bool = False


class Lane(Struct, kw_only=True):
    """One step. `does` and `undo` are words for a person; `undo` is None when nothing has to be undone.

    `status` is how far the step came forward, `undo_status` how far its undo is. `open` says what it has left open.
    """

    step: str
    does: str
    undo: str | None
    status: ForwardStatus
    undo_status: UndoStatus
    tries: Sequence[Try]
    open: Sequence[str]


class LaneFold:
    """Takes in the events of a saga's stream one by one; `lanes` makes the lanes of what came in so far."""

    def __init__(self, saga: Saga) -> None:
        self.saga = saga
        self._steps = {step.name: step for step in saga.steps}
        self.progress: Progress | None = None
        self._tries: dict[str, deque[Try]] = {}
        self._forward: dict[str, ForwardStatus] = {}
        self._undo_skipped: set[str] = set()

    def take(self, event: Event, at: datetime) -> None:
        """Take in one event, which was recorded at `at`."""
        before, self.progress = self.progress, evolve(self.progress, event, at)
        since = before.since if before else at
        match event:
            case events.SagaStepStarted(step=step, direction=direction, attempt=attempt):
                self._begin(step, direction, attempt, at)
            case events.SagaStepCompleted(step=step):
                self._end(step, "forward", at, since)
                self._forward[step] = "DONE"
            case events.SagaStepFailed(step=step):
                self._fail(event, "forward", at, since)
                self._forward[step] = "FAILED" if event.final else "RUNNING"
            case events.SagaStepCompensated(step=step):
                if not self._has_no_undo(step):
                    self._end(step, "backward", at, since)
            case events.SagaCompensationFailed():
                self._fail(event, "backward", at, since)
            case events.SagaStepSkipped(step=str(step)):
                self._skip(step, event, at, backward=before is not None and before.of(step) in _BEING_UNDONE)
            case events.SagaCompensationStarted() | events.SagaCompensationRequested():
                self._give_up_tries(at, f"given up: {event.reason}")
            case events.SagaFailed():
                self._give_up_tries(at, event.reason)
            case events.SagaRetried():
                self._give_up_tries(at, f"begun again: {event.reason}")
                self._forward |= {step: "RUNNING" for step, of in self.progress.steps.items() if of == "RUNNING"}
            case events.SagaResolved():
                self._give_up_tries(at, f"resolved by hand: {event.reason}")
            case _:
                pass

    def steps(self) -> Mapping[str, str]:
        """The status of every step by its name, in the order of the table."""
        progress = self.progress
        return {step: str(progress.of(step)) for step in self._names(progress)} if progress else {}

    def lanes(self, order: Order | None) -> Sequence[Lane]:
        """The lanes in the order of the table. Nothing is told to be open if the order is not known."""
        progress = self.progress
        return [self._lane(name, progress, order) for name in self._names(progress)] if progress else []

    # --- tries ----------------------------------------------------------------------------------------------
    def _of(self, step: str) -> deque[Try]:
        return self._tries.setdefault(step, deque(maxlen=MOST_TRIES))

    def _open_try(self, step: str, direction: Direction) -> Try | None:
        tries = self._of(step)
        last = tries[-1] if tries else None
        return last if last and last.direction == direction and last.outcome == "running" else None

    def _begin(self, step: str, direction: Direction, attempt: int, at: datetime) -> None:
        """A call was announced. The same try may make a second call, such as one that authorises the amount anew."""
        if self._open_try(step, direction) is None:
            self._of(step).append(Try(direction=direction, attempt=attempt, started_at=at))
        if direction == "forward":
            self._forward[step] = "RUNNING"

    def _end(self, step: str, direction: Direction, at: datetime, since: datetime) -> Try:
        """The try that is under way has ended; a step that calls nobody is not announced, so it began at `since`."""
        one = self._open_try(step, direction)
        if one is None:
            one = Try(direction=direction, attempt=1, started_at=since)
            self._of(step).append(one)
        one.ended_at, one.outcome = at, "ok"
        return one

    def _fail(
        self,
        event: events.SagaStepFailed | events.SagaCompensationFailed,
        direction: Direction,
        at: datetime,
        since: datetime,
    ) -> None:
        one = self._end(event.step, direction, at, since)
        one.outcome, one.attempt, one.error = "failed", event.attempt, event.error
        one.retry_at, one.final = event.retry_at, event.final

    def _skip(self, step: str, event: events.SagaStepSkipped, at: datetime, *, backward: bool) -> None:
        direction: Direction = "backward" if backward else "forward"
        tries = self._of(step)
        attempt = tries[-1].attempt + 1 if tries else 1
        reason = f"{event.reason} ({event.by})"
        tries.append(
            Try(
                direction=direction,
                attempt=attempt,
                started_at=at,
                ended_at=at,
                outcome="skipped",
                error=reason,
                final=True,
            )
        )
        if backward:
            self._undo_skipped.add(step)
        else:
            self._forward[step] = "SKIPPED"

    def _give_up_tries(self, at: datetime, why: str) -> None:
        """Nobody waits for the tries any more that are under way, although they may have had an effect."""
        for step, tries in self._tries.items():
            for one in tries:
                if one.outcome == "running":
                    one.ended_at, one.outcome, one.error = at, "failed", why
                    if one.direction == "forward":
                        self._forward[step] = "FAILED"

    # --- lanes ----------------------------------------------------------------------------------------------
    def _names(self, progress: Progress) -> Sequence[str]:
        return tuple(self._steps) or tuple(progress.steps)

    def _has_no_undo(self, step: str) -> bool:
        return step in self._steps and isinstance(self._steps[step].undo, Nothing)

    def _lane(self, name: str, progress: Progress, order: Order | None) -> Lane:
        step = self._steps.get(name)
        return Lane(
            step=name,
            does=step.do.words if step else UNKNOWN_TABLE,
            undo=None if step is None or isinstance(step.undo, Nothing) else step.undo.words,
            status=self._forward.get(name, "PENDING"),
            undo_status=self._undo_status(name, progress),
            tries=[*self._tries.get(name, ())],
            open=self._open(step, progress, order),
        )

    def _undo_status(self, name: str, progress: Progress) -> UndoStatus:
        status = progress.of(name)
        if name in self._undo_skipped:
            return "SKIPPED"
        if self._has_no_undo(name):
            return "NOT_NEEDED"
        if status is StepStatus.COMPENSATED:
            return "DONE"
        if status in _BEING_UNDONE:
            goes_on = status is StepStatus.COMPENSATING and progress.status is SagaStatus.COMPENSATING
            return "RUNNING" if goes_on else "FAILED"
        is_turned_back = progress.status is SagaStatus.COMPENSATING or (
            progress.status is SagaStatus.FAILED and progress.failed_as is SagaStatus.COMPENSATING
        )
        return "PENDING" if is_turned_back and status in MAY_HAVE_HAPPENED else "NOT_NEEDED"

    def _open(self, step: Step | None, progress: Progress, order: Order | None) -> Sequence[str]:
        if step is None or order is None or order.created is None or progress.status in ENDED:
            return ()
        holding = open_of_step(self.saga, step, progress)
        return sentences([holding], progress, order) if holding else ()
