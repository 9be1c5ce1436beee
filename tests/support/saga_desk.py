"""A desk in memory with sagas in every state, as the query API lists and filters them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid5

import msgspec
from msgspec.structs import replace

from core.pictures.shapes import PicturedSaga
from tests.support.fake_gateway import SPACE, FakeGateway, event_json
from tests.support.pictured_sagas import DONE, STUCK, UNDER_WAY, UNDOING, at
from tui.gateway import CommandAccepted, CommandToSend, ServiceRefused, Shape

COMPLETED = {"open_order": "COMPLETED", "reserve_inventory": "COMPLETED", "authorize_payment": "COMPLETED"}
STEPS = {
    "COMPLETED": {**COMPLETED, "confirm_order": "COMPLETED"},
    "RUNNING": {**COMPLETED, "authorize_payment": "RUNNING", "confirm_order": "PENDING"},
    "COMPENSATING": {**COMPLETED, "authorize_payment": "COMPENSATING", "confirm_order": "FAILED"},
    "FAILED": {"void_payment": "FAILED", "release_inventory": "PENDING"},
}


class SagaDesk(FakeGateway):
    """`sagas` by id, newest first in the answers; `tells_lanes` is False for a service of an older release."""

    def __init__(self, *kinds: PicturedSaga) -> None:
        super().__init__()
        self.time = at(300)
        self.sagas: dict[str, PicturedSaga] = {}
        self.tells_lanes = True
        self.backlog: dict[str, float] = {}
        for kind in kinds:
            self.start(kind)

    def start(self, kind: PicturedSaga) -> PicturedSaga:
        """One more saga of that kind, a second younger than the one before, with its first event."""
        n = len(self.sagas)
        saga = replace(
            _later(kind, timedelta(seconds=n)),
            saga_id=str(uuid5(SPACE, f"saga-{n}")),
            order_id=str(uuid5(SPACE, f"order-{n}")),
            order_number=f"ORD-{n:010}",
            steps=STEPS[kind.status],
        )
        self.sagas[saga.saga_id] = saga
        self.tell(saga, "SagaStarted", name=saga.name, order_id=saga.order_id)
        return saga

    def tell(self, saga: PicturedSaga, event_type: str, **payload: Any) -> None:
        self.record("saga", saga.saga_id, event_type, payload, saga.order_id)

    def become(self, saga: PicturedSaga, **changes: Any) -> PicturedSaga:
        """The saga changes, and an event says so."""
        self.sagas[saga.saga_id] = replace(saga, **changes)
        self.tell(saga, "SagaStepStarted", step=saga.step, direction="forward", attempt=1, key="k")
        return self.sagas[saga.saga_id]

    async def read(
        self, path: str, shape: type[Shape], params: Mapping[str, str | Sequence[str]] | None = None
    ) -> Shape:
        known = dict(params or {})
        one = self.sagas.get(path.removeprefix("/api/v1/sagas/"))
        if path == "/api/v1/sagas":
            self.answers[path] = self._page(known)
        elif path == "/api/v1/sagas/summary":
            states = Counter(saga.state for saga in self.sagas.values() if saga.state)
            statuses = Counter(saga.status for saga in self.sagas.values())
            self.answers[path] = {
                "states": states, "statuses": statuses, "money_open": {"USD": "3897.00"}, "backlog": self.backlog
            }  # fmt: skip
        elif path.startswith("/api/v1/sagas/") and one is not None:
            events = [json.loads(event_json(event)) for event in self.log if event["aggregate_id"] == one.saga_id]
            lanes = {} if self.tells_lanes else {"lanes": None}
            self.answers[path] = _plain(one) | {"events": events} | lanes
        return await super().read(path, shape, params)

    async def send(self, command: CommandToSend, *, key: str) -> CommandAccepted:
        if command.kind != "saga":
            return await super().send(command, key=key)
        self.sent.append((command, key))
        saga = self.sagas[str(command.subject_id)]
        if saga.status != "FAILED":
            raise ServiceRefused(400, "not_allowed", f"cannot {command.verb} {saga.name}: it is {saga.status.lower()}")
        self.become(saga, status="RESOLVED" if command.verb == "resolve" else "RUNNING", state=None)
        return CommandAccepted(saga.saga_id, self.sagas[saga.saga_id].status, 9, len(self.log), step=saga.step)

    def _page(self, params: dict[str, Any]) -> dict[str, Any]:
        def fits(saga: PicturedSaga) -> bool:
            return (
                ("state" not in params or saga.state in params["state"].split(","))
                and ("status" not in params or saga.status in params["status"].split(","))
                and ("saga_id" not in params or saga.saga_id in params["saga_id"].split(","))
                and params.get("order_id", saga.order_id) == saga.order_id
                and saga.name.startswith(params.get("name", ""))
                and params.get("error", "") in (saga.last_error or "")
            )

        found = [saga for saga in reversed(self.sagas.values()) if fits(saga)]
        if params.get("sort") == "-at_risk":
            found.sort(key=lambda saga: saga.open.money is None)
        start = int(params.get("cursor", 0))
        end = start + int(params["limit"])
        more = str(end) if end < len(found) else None
        return {"sagas": [_plain(saga, lanes=False) for saga in found[start:end]], "next_cursor": more}


def _later(saga: PicturedSaga, by: timedelta) -> PicturedSaga:
    """The same saga, begun so much later."""
    times = ("started_at", "ended_at", "retry_at", "updated_at", "deadline", "next_attempt_at", "lease_until")

    def shifted(one: Any) -> Any:
        return replace(one, **{name: value + by for name in times if (value := getattr(one, name, None)) is not None})

    lanes = [replace(lane, tries=tuple(map(shifted, lane.tries))) for lane in saga.lanes or ()]
    return replace(shifted(saga), lanes=tuple(lanes))


def _plain(saga: PicturedSaga, *, lanes: bool = True) -> dict[str, Any]:
    document = json.loads(msgspec.json.encode(saga))
    return document if lanes else {name: value for name, value in document.items() if name != "lanes"}


def busy_desk() -> SagaDesk:
    return SagaDesk(DONE, STUCK, DONE, UNDOING, DONE, UNDER_WAY, DONE)
