"""SteeringPane: a view in which an operator retries, skips, compensates or resolves the saga that is chosen."""

from __future__ import annotations

from core.pictures.shapes import WireSaga
from tui.dialogs.steer import STEERINGS, ask_steer
from tui.pane import Pane


class SteeringPane(Pane):
    """A view that has the table STEER among its tables, and says which saga its actions are about."""

    @property
    def steered(self) -> WireSaga | None:
        """The saga that is chosen; None while there is none."""
        raise NotImplementedError

    def _steer(self, action: str) -> None:
        if self.steered is not None:
            ask_steer(self, self.desk.gateway, self.steered, STEERINGS[action])

    def action_retry(self) -> None:
        self._steer("retry")

    def action_skip(self) -> None:
        self._steer("skip")

    def action_compensate(self) -> None:
        self._steer("compensate")

    def action_resolve(self) -> None:
        self._steer("resolve")
