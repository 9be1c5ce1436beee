"""Requests leave nothing to the garbage collector, which would stop the service for 40 ms now and then."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from litestar import Request
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tests.support.orders import Sample, write
from tests.support.query_api import query_api


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/orders?limit=5", 200),
        ("/api/v1/orders?customer_id=customer-1&as_of=nonsense", 400),
        ("/api/v1/orders/0195979f-3e40-7cc1-9d2e-000000000001", 404),
        ("/no/such/path", 404),
        ("/health", 200),
    ],
)
async def test_what_was_made_for_a_request_goes_with_it(dsn: str, tmp_path: Path, path: str, status: int) -> None:
    await write(dsn, Sample(3).events())
    async with query_api(dsn, tmp_path) as api:
        await api.project()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                assert (await api.client.get(path)).status_code == status
            left = [each for each in gc.get_objects() if isinstance(each, (RequestResponseCycle, Request))]
        finally:
            gc.enable()
    assert len(left) <= 2, "more than those of the last request"
