"""Webhooks in memory, which a fake gateway shows and changes as the service does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from core.ports.webhooks import WebhookChange, WebhookTerms
from core.services.webhooks import what_is_wrong
from tui.command_paths import webhook_accepted
from tui.gateway import CommandAccepted, CommandToSend, ServiceRefused
from tui.http_reply import HttpReply
from tui.viewmodels.webhooks import PATH

AT = "2026-03-14T15:00:00Z"


class FakeWebhooks:
    """`comes_of_a_test` is what the notifier says of each test; `letters` are the dead letters that are listed."""

    def __init__(self) -> None:
        self.hooks: dict[str, dict[str, Any]] = {}
        self.deliveries: dict[str, list[dict[str, Any]]] = {}
        self.letters: list[dict[str, str]] = []
        self.comes_of_a_test: dict[str, Any] = {"state": "delivered", "status": 204, "error": ""}
        self.head = 0

    def add(self, url: str, **more: Any) -> str:
        id_ = f"wh_{len(self.hooks) + 1}"
        self.hooks[id_] = {
            "id": id_,
            "url": url,
            "description": "",
            "event_types": [],
            "enabled": True,
            "disabled_why": "",
            "created_at": AT,
            "created_by": "ana",
            "position": self.head,
            "behind": 0,
            "waiting": 0,
            "failed": 0,
            "secrets": 1,
            "delivered_at": None,
            "next_try_at": None,
            "last_error": "",
            **more,
        }
        self.deliveries[id_] = []
        return id_

    def sent(self, id_: str, n: int, **more: Any) -> None:
        """A message of a webhook."""
        made = {"id": f"d-{n}", "message_id": f"m-{n}", "message_type": "OrderShipped", "position": n, "created_at": AT}
        self.deliveries[id_].insert(
            0, {**made, "state": "delivered", "tries": 1, "tried_at": AT, "status": 204, "error": "", **more}
        )

    def read(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """What a GET answers."""
        if path == PATH:
            return {"webhooks": list(self.hooks.values())}
        id_, _, rest = path.removeprefix(f"{PATH}/").partition("/")
        hook = self._found(id_)
        if not rest:
            return hook
        wanted = asked.get("state")
        return {"deliveries": [each for each in self.deliveries[id_] if wanted in (None, each["state"])]}

    def act(self, command: CommandToSend) -> CommandAccepted:
        body = msgspec.json.encode(self._answer(command))
        return webhook_accepted(command, HttpReply(200, body, replayed=False))

    def _answer(self, command: CommandToSend) -> dict[str, Any]:
        if command.verb == "add":
            return self._add(command.body)
        hook = self._found(command.subject_id or "")
        match command.verb:
            case "disable":
                hook |= {"enabled": False, "disabled_why": f"ana: {command.body['reason']}"}
            case "enable":
                hook |= {"enabled": True, "disabled_why": "", "position": self.head}
            case "change":
                self._change(hook, command.body)
            case "rotate":
                hook["secrets"] = 2
                return {**hook, "secret": f"whsec_again-{hook['id']}"}
            case "replay":
                if command.body["after"] > self.head:
                    raise ServiceRefused(400, "validation_failed", "after: must be a position of the log")
                hook["position"] = command.body["after"]
            case "remove":
                del self.hooks[hook["id"]]
            case _:
                return {"webhook_id": hook["id"], **self.comes_of_a_test}
        return hook

    def _add(self, body: Mapping[str, Any]) -> dict[str, Any]:
        refuse_wrong(WebhookTerms(url=body["url"], event_types=tuple(body["event_types"])))
        if any(hook["url"] == body["url"] for hook in self.hooks.values()):
            raise ServiceRefused(400, "not_allowed", "wh_1 leads there already: rotate its secret if it is lost")
        id_ = self.add(body["url"], event_types=body["event_types"], description=body["description"])
        return {**self.hooks[id_], "secret": f"whsec_of-{id_}"}

    def _change(self, hook: dict[str, Any], body: Mapping[str, Any]) -> None:
        types = body.get("event_types")
        refuse_wrong(WebhookChange(url=body.get("url"), event_types=None if types is None else tuple(types)))
        if any(each["url"] == body.get("url") and each is not hook for each in self.hooks.values()):
            raise ServiceRefused(400, "not_allowed", "wh_1 leads there already")
        hook |= body

    def _found(self, id_: str) -> dict[str, Any]:
        if id_ not in self.hooks:
            raise ServiceRefused(404, "not_found", f"there is no webhook {id_}")
        return self.hooks[id_]


def refuse_wrong(terms: WebhookTerms | WebhookChange) -> None:
    wrong = what_is_wrong(terms, ())
    if wrong:
        raise ServiceRefused(400, "validation_failed", f"{wrong[0].field}: {wrong[0].message}")
