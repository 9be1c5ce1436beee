"""The desk of the services' tests: one for each test, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.adapters.postgres.event_store import PostgresEventStore
from core.services.sagas import advance
from tests.support.notifying import PostOffice, post_office
from tests.support.opener import Opener
from tests.support.order_desk import Desk
from tests.support.saga_cases import Operator
from tests.support.webhook_receiver import Receiver, receiver


@pytest.fixture
def desk(opener: Opener, store: PostgresEventStore) -> Desk:
    return Desk(opener, store)


@pytest.fixture
async def operator(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operator]:
    """An operator at a desk where failed tries are repeated at once, and every deadline is over soon."""
    monkeypatch.setattr(advance, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(advance, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(advance, "LONGEST_WANTED", 0.0)
    desk.scale = 0.0001
    operator = Operator(desk)
    yield operator
    operator.link.close()


@pytest.fixture
async def office(opener: Opener, store: PostgresEventStore) -> AsyncIterator[PostOffice]:
    async with post_office(opener, store) as ready:
        yield ready


@pytest.fixture
async def shop() -> AsyncIterator[Receiver]:
    async with receiver() as ready:
        yield ready
