"""SteeringPane: what the views have in common in which an operator decides about a saga."""

from __future__ import annotations

from core.pictures.shapes import WireSaga
from tui.dialogs.steer import STEERINGS, ask_steer
from tui.pane import Pane


class SteeringPane(Pane):
    """Each key of the table STEER asks about the saga that is chosen."""

    @property
    def steered(self) -> WireSaga | None:
        """The chosen saga."""
        raise NotImplementedError

    def _steer(self, action: str) -> None:
        if (saga := self.steered) is not None:
            ask_steer(self, self.desk, saga, STEERINGS[action])

    def action_retry(self) -> None:
        self._steer("retry")

    def action_skip(self) -> None:
        self._steer("skip")

    def action_compensate(self) -> None:
        self._steer("compensate")

    def action_resolve(self) -> None:
        self._steer("resolve")
