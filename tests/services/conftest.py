"""The desk of the services' tests: one for each test, on a database of its own."""

from __future__ import annotations

import pytest

from core.adapters.postgres.event_store import PostgresEventStore
from tests.support.opener import Opener
from tests.support.order_desk import Desk


@pytest.fixture
def desk(opener: Opener, store: PostgresEventStore) -> Desk:
    return Desk(opener, store)
