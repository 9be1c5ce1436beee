"""A broken or hostile payment provider: each call ends in time with an answer that can be stored, or an error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from core.adapters.payments import http
from core.adapters.payments.http import HttpPaymentGateway
from core.domain.provider import Approved, Declined, Refused
from core.errors import GatewayTimeout, GatewayUnavailable
from tests.support.hostile_service import (
    CHUNK,
    DRIPPING,
    ENDLESS,
    OSC,
    HostileService,
    answer,
    bomb,
    hostile_bodies,
    hostile_service,
)

HONEST = {"reference": "r", "expires_at": None, "outcome": "approved", "reason": "x", "detail": "y"}


@pytest.fixture
def provider() -> Iterator[HostileService]:
    with hostile_service() as running:
        yield running


async def test_whatever_a_provider_answers_can_be_stored_or_is_an_error(
    provider: HostileService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.payments.breaker.IN_A_ROW", 1_000_000)
    texts = {"reference": OSC * 500, "reason": "\x00" + OSC * 500, "detail": f"\x00{OSC}" * 500}
    bodies = [body for key in HONEST for body in hostile_bodies(HONEST, key).values()]
    bodies += [json.dumps({**HONEST, **texts}).encode(), json.dumps({**HONEST, **texts, "outcome": "no"}).encode()]
    async with HttpPaymentGateway(provider.url, timeout=5.0) as gateway:
        for status in (b"200 OK", b"402 No", b"409 No"):
            for body in bodies:
                provider.will(answer(body, Connection="close").replace(b"200 OK", status))
                for call in (gateway.void("k:void", payment_id=uuid4(), reason="r"), gateway.look_up("k:void")):
                    try:
                        said = await call
                    except (GatewayTimeout, GatewayUnavailable) as error:
                        said = Refused(str(error))
                    match said:
                        case Approved(reference=text) | Declined(reason=text) | Refused(reason=text):
                            assert len(text) < 1_000
                            assert not {"\x00", "\x1b", "\x9b"} & set(text)
                        case None:
                            pytest.fail("an answer without a status of its own")


@pytest.mark.parametrize("what", ["bomb", "endless", "dripping"])
async def test_an_answer_without_end_counts_as_no_answer(
    provider: HostileService, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST_QUESTION", 0.2)
    match what:
        case "bomb":
            provider.will(bomb(150))
        case "endless":
            provider.will(ENDLESS, CHUNK)
        case _:
            provider.will(DRIPPING, b" ", 0.02)
    async with HttpPaymentGateway(provider.url, timeout=0.5) as gateway:
        began = time.monotonic()
        with pytest.raises(GatewayTimeout):
            await gateway.void("k:void", payment_id=uuid4(), reason="r")
        assert time.monotonic() - began < 5
