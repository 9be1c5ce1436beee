"""Records a span for each step that a saga makes, in the trace of the event that has started the saga."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from core.sagas.saga import Move
from core.services.sagas.work import Work
from core.tracing import kept_traceparent, span


class StepSpans:
    """The span of the move that is made now. A call to the provider is one move, and two appends."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._move: Move | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def begin(self, move: Move) -> None:
        """Note that this move is made from now on, unless it is the one that was made before."""
        work = self._work
        if work.traceparent is None or move == self._move:
            return
        self._end()
        self._move = move
        name = f"{work.saga.name} {'' if move.forward else 'undo '}{move.step.name}"
        self._open.enter_context(span(name, work.traceparent, notes={"orderdeck.order_id": str(work.order_id)}))
        work.step_traceparent = kept_traceparent()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, traceback)
        self._work.step_traceparent = None

    def _end(self) -> None:
        self._open.close()
