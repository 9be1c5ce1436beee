"""WebhooksPane: what the views have in common in which an admin looks after a webhook."""

from __future__ import annotations

from tui.dialogs.webhook_acts import ask_act, ask_change
from tui.reread_list import RereadList, Row
from tui.viewmodels.webhooks import WireWebhook

WHAT = "webhooks"


class WebhooksPane(RereadList[Row]):
    """Each key of the table ACTS asks about the webhook that is chosen."""

    @property
    def hook(self) -> WireWebhook | None:
        """The webhook that is acted on."""
        raise NotImplementedError

    def _ask(self, verb: str) -> None:
        if (hook := self.hook) is not None:
            ask_act(self, self.desk, hook, verb)

    def action_test(self) -> None:
        self._ask("test")

    def action_change(self) -> None:
        if (hook := self.hook) is not None:
            ask_change(self, self.desk, hook)

    def action_enable(self) -> None:
        self._ask("enable")

    def action_disable(self) -> None:
        self._ask("disable")

    def action_rotate(self) -> None:
        self._ask("rotate")

    def action_replay(self) -> None:
        self._ask("replay")

    def action_remove(self) -> None:
        self._ask("remove")
