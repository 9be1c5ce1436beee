"""Answers of the query API that were given while the log was at a position, to be asked for again later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.query_api import QueryApi

# What the log does not say of a saga, or what depends on the clock; `due_at` is the next try only after a failed one.
NOT_IN_THE_LOG = {"claimed", "due_at", "next_attempt_at", "held_by", "lease_until", "authorization_ends_in"}


@dataclass
class Moment:
    """`answers`: what each path was answered when the log ended at `position`; None for 404."""

    position: int
    time: str
    answers: dict[str, Any]


async def answer(api: QueryApi, path: str, **asked: Any) -> Any:
    response = await api.client.get(path, params=asked)
    assert response.status_code in {200, 404}, f"{path} {asked}: {response.status_code} {response.text}"
    return without(response.json()) if response.status_code == 200 else None


def without(document: Any) -> Any:
    """The document without what the log does not say."""
    if isinstance(document, list):
        return [without(each) for each in document]
    if not isinstance(document, dict):
        return document
    return {name: without(value) for name, value in document.items() if name not in NOT_IN_THE_LOG}


async def moment_of(api: QueryApi, paths: Sequence[str]) -> Moment:
    """What all the paths are answered now, with read models that have all that the log has."""
    await api.project()
    log = await api.get("/api/v1/events", before=2**62, limit=1)
    [last] = log["events"]
    return Moment(log["head"], last["timestamp"], {path: await answer(api, path) for path in paths})
