"""The relay registers every schema in a registry, and whatever that registry does, no event waits for it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any, cast

import httpx
import jsonschema
import pytest
from structlog.testing import capture_logs

from core.adapters.kafka.schema_registry import register_all
from core.errors import BrokerRefused, ConfigurationError, Unavailable
from core.event_schemas import event_schemas
from core.settings import Settings, load_settings
from daemons.relay import registration
from daemons.relay.registration import Registration
from tests.support.recorded_log import EVENTS as OLD_LOG

ADDRESS = "https://relay:s3cret@registry.test:8081/apis/ccompat/v7"
SUBJECT = "order-events-OrderCreated"


def settings(address: str = ADDRESS) -> Settings:
    return load_settings(schema_registry_url=address)


class Registry:
    """A registry that keeps what it gets, as Confluent's protocol says."""

    def __init__(self) -> None:
        self.subjects: dict[str, list[str]] = {}
        self.config: dict[str, str] = {}
        self.calls: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        body = json.loads(request.content)
        _, _, _, _, kind, subject, *rest = request.url.path.split("/")
        if kind == "config":
            self.config[subject] = body["compatibility"]
            return httpx.Response(200, json=body)
        versions = self.subjects.setdefault(subject, [])
        if rest == ["versions"]:
            assert self.config[subject] == "NONE"
            versions.append(body["schema"])
            return httpx.Response(200, json={"id": 1})
        if body["schema"] in versions:
            return httpx.Response(200, json={"version": 1, "id": 1})
        return httpx.Response(404, json={"error_code": 40403, "message": "Schema not found"})


async def test_every_schema_of_every_version_is_registered_once_and_in_order() -> None:
    registry = Registry()
    count = len(event_schemas())
    assert await register_all(settings(), httpx.MockTransport(registry)) == count
    assert sum(map(len, registry.subjects.values())) == count
    titles = [json.loads(text)["title"] for text in registry.subjects[SUBJECT]]
    assert titles == [f"OrderCreated, schema version {n}, in its envelope" for n in (1, 2)]
    first = jsonschema.Draft202012Validator(json.loads(registry.subjects[SUBJECT][0]))
    first.validate(json.loads(next(e for e in OLD_LOG if e.event_type == "OrderCreated").envelope("stored").encode()))
    assert {call.headers["authorization"] for call in registry.calls} == {"Basic cmVsYXk6czNjcmV0"}
    registry.calls.clear()
    assert await register_all(settings(), httpx.MockTransport(registry)) == 0
    assert {call.method for call in registry.calls} == {"POST"}, "what is there is only looked up"
    assert len(registry.calls) == count


async def test_without_a_registry_nothing_is_registered() -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    assert await register_all(load_settings(), httpx.MockTransport(never)) == 0


def _raise(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (_raise(httpx.ConnectError("refused")), Unavailable, "is away: refused"),
        (_raise(httpx.ReadTimeout("")), Unavailable, "is away: it did not answer in time"),
        (lambda _: httpx.Response(503), Unavailable, "answers 503 to POST /subjects/"),
        (lambda _: httpx.Response(429, text="slow down"), Unavailable, "answers 429"),
        (lambda _: httpx.Response(401, json={"message": "who are you?"}), BrokerRefused, "answers 401"),
        (lambda _: httpx.Response(401, json={"message": "who are you?"}), BrokerRefused, "who are you?"),
        (lambda _: httpx.Response(404, text="<html>"), BrokerRefused, "answers 404 to POST"),
        (lambda _: httpx.Response(200, text="<html>"), BrokerRefused, "answers 200"),
        (lambda _: httpx.Response(200, json=[1]), BrokerRefused, "answers 200"),
        (lambda _: httpx.Response(301, headers={"location": "http://evil.test"}), BrokerRefused, "answers 301"),
        (lambda _: httpx.Response(200, content=b" " * 300_000), BrokerRefused, "answers too much"),
        (lambda _: httpx.Response(409, json={"message": 7}), BrokerRefused, "answers 409"),
    ],
)
async def test_whatever_is_wrong_with_the_registry_is_a_sentence_without_its_password(
    answer: Callable[[httpx.Request], httpx.Response], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as failed:
        await register_all(settings(), httpx.MockTransport(answer))
    assert words in str(failed.value)
    assert "https://registry.test:8081/apis/ccompat/v7" in str(failed.value)
    assert "s3cret" not in str(failed.value)


async def test_the_relay_tries_again_until_it_is_done_and_no_error_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "FIRST_PAUSE", 0.001)
    comes: list[Exception | int] = [Unavailable("away"), Unavailable("away"), BrokerRefused("no"), KeyError("x"), 3]

    class Asked:
        async def register_schemas(self) -> int:
            said.append(one.why_degraded())
            if isinstance(next_ := comes.pop(0), Exception):
                raise next_
            return next_

    said: list[str | None] = []
    one = Registration(cast("Any", Asked()))
    with capture_logs() as logs:
        async with asyncio.timeout(10):
            await one.keep(asyncio.Event())
    about = "the schemas of events are not registered: "
    assert said == [None, f"{about}away", f"{about}away", f"{about}no", f"{about}a fault, KeyError; the log has more"]
    assert one.why_degraded() is None
    assert [entry["event"] for entry in logs] == [*["schemas not registered"] * 3, "registered schemas"]
    stopped = asyncio.Event()
    comes.append(Unavailable("away"))
    trying = asyncio.create_task(one.keep(stopped))
    while comes:
        await asyncio.sleep(0)
    stopped.set()
    async with asyncio.timeout(10):
        await trying


@pytest.mark.parametrize(
    "address",
    ["registry:8081", "ftp://registry", "http://", "http://a b", "http://r:99999", "http://u:p#q@r", "http://r?x=1"],
)
def test_an_address_that_is_none_is_refused_at_the_start_without_being_repeated(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", address)
    with pytest.raises(ConfigurationError, match=r"^SCHEMA_REGISTRY_URL: must be http:// or https://") as refused:
        load_settings()
    assert "u:p" not in str(refused.value)


@pytest.mark.skipif("SCHEMA_REGISTRY_UNDER_TEST" not in os.environ, reason="`make registry` runs it")
async def test_a_real_registry_takes_every_schema_and_gives_it_back() -> None:
    address = os.environ["SCHEMA_REGISTRY_UNDER_TEST"]
    assert await register_all(settings(address)) == len(event_schemas())
    assert await register_all(settings(address)) == 0
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        subjects = (await client.get("/subjects")).json()
        assert len(subjects) == len({event_type for event_type, _ in event_schemas()})
        assert (await client.get(f"/subjects/{SUBJECT}/versions")).json() == [1, 2]
        kept = (await client.get(f"/subjects/{SUBJECT}/versions/1")).json()
        assert kept["schemaType"] == "JSON"
        schema = json.loads(kept["schema"])
    jsonschema.Draft202012Validator.check_schema(schema)
    created = next(event for event in OLD_LOG if event.event_type == "OrderCreated")
    jsonschema.Draft202012Validator(schema).validate(json.loads(created.envelope("stored").encode()))
