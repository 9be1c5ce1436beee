"""Of a sealed customer no byte is in the clear anywhere but in answers, and after the erasure not in those either."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis

from core.adapters.kafka.partitions import topic_names
from core.adapters.postgres.embedded import binaries
from core.settings import load_settings
from tests.support.command_api import ORDER
from tests.support.customers import Customers, eventually, open_customers
from tests.support.kafka_for_all import KafkaForAll
from tests.support.redis_server import RedisServer
from tests.support.sent import read, reader_of
from tests.support.stack import Stack

PARTITIONS = 3


@dataclass(frozen=True)
class Place:
    """All that one place holds, in the form in which a thief would have it."""

    name: str
    content: bytes


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    """What is to be found nowhere: drawn anew each time, so that nothing else has it."""
    letters = str.maketrans("0123456789", "ghijklmnop")  # so that no label is taken for the number of a card
    return {name: f"{name}{uuid4().hex.translate(letters)}" for name in ("street", "city", "zip", "customer", "label")}


@pytest.fixture(scope="module")
def sealing(kafka: KafkaForAll, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """It is started in a folder that nobody but its owner may enter, whose .env switches the sealing on."""
    folder = tmp_path_factory.mktemp("erased")
    folder.chmod(0o700)
    (folder / ".env").write_text("ORDERDECK_SEAL_CUSTOMERS=true\n")
    settings = {
        "KAFKA_BROKERS": kafka.brokers,
        "KAFKA_TOPIC": f"{uuid4().hex[:12]}.order-events",
        "ORDERDECK_KAFKA_PARTITIONS": str(PARTITIONS),
        "CONSUMER_GROUP": f"erased-{uuid4().hex[:8]}",
        "REDIS_URL": redis_server.url,
    }
    with Stack(folder / "home", **settings) as stack:
        done = stack.orderdeck("up", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        yield stack


@pytest.fixture
async def customers(sealing: Stack) -> AsyncIterator[Customers]:
    async with open_customers(sealing) as customers:
        yield customers


def places(stack: Stack, server: RedisServer, events: int, *, keys: bool = False) -> Iterator[Place]:
    """Every place that is copied, kept or read by others: without the table of keys, as the how-to makes backups."""
    without = [] if keys else ["--exclude-table-data=customer_keys"]
    command = [str(binaries() / "pg_dump"), "--inserts", *without, stack.home.dsn("orderdeck")]
    yield Place("pg_dump", subprocess.run(command, capture_output=True, check=True).stdout)
    with redis.Redis.from_url(server.url) as cache:
        for key in cache.scan_iter():
            name: Any = key
            yield Place(f"Redis {name!r}", name + (cache.dump(name) or b"") + _value(cache, name))
    yield from topics(stack, events)
    for path in stack.home.path.rglob("*"):
        if path.is_file() and "postgres" not in path.relative_to(stack.home.path).parts:
            yield Place(str(path.relative_to(stack.home.path)), path.read_bytes())


def _value(cache: Any, key: bytes) -> bytes:
    kind = cache.type(key)
    if kind == b"string":
        return cache.get(key) or b""
    return repr(cache.hgetall(key) if kind == b"hash" else kind).encode()


def topics(stack: Stack, events: int) -> Iterator[Place]:
    """Every message of every topic, with its key and its headers."""
    settings = load_settings(kafka_brokers=stack.settings["KAFKA_BROKERS"], kafka_topic=stack.settings["KAFKA_TOPIC"])
    with reader_of(settings.kafka_brokers or "", topic_names(settings).values(), PARTITIONS) as consumer:
        for message in read(consumer, until=events):
            yield Place(message.topic, repr(message).encode())


def leaks(found: Iterable[Place], secrets: Mapping[str, str]) -> Sequence[str]:
    return [
        f"{place.name} has the {name}"
        for place in found
        for name, secret in secrets.items()
        if secret.encode() in place.content
    ]


async def answers(customers: Customers, order_id: str, position: int, customer: str) -> Sequence[Place]:
    """Every answer that may show the customer, also of the past and of lists that are made for it."""
    stream = f"/api/v1/events/stream?after={position - 1}&type=OrderCreated"
    found: list[Place] = []
    async with customers.queries.stream("GET", stream) as frames:
        async for line in frames.aiter_lines():
            if line.startswith("data: "):
                found.append(Place(stream, line.encode()))
                break
    moment = {"as_of": str(position)}
    for path, parameters in (
        (f"orders/{order_id}", {}),
        (f"orders/{order_id}", {}),  # again, from the cache
        (f"orders/{order_id}", moment),
        (f"orders/{order_id}/events", {}),
        (f"orders/{order_id}/timeline", {"schema": "stored"}),
        ("events", {"type": "OrderCreated"}),
        ("orders", {}),
        ("orders", moment),
        ("orders", {"customer_id": customer}),
        (f"customers/{customer}/orders", {}),
    ):
        answer = await answered(customers, path, parameters)
        found.append(Place(f"{path} {parameters}", answer.content))
    return found


async def answered(customers: Customers, path: str, parameters: Mapping[str, str]) -> httpx.Response:
    async def ready() -> httpx.Response | None:
        answer = await customers.queries.get(f"/api/v1/{path}", params=dict(parameters))
        return None if answer.status_code == 202 else answer.raise_for_status()

    return await eventually(ready, 30)


async def test_nothing_of_a_sealed_customer_is_in_the_clear_in_any_place_before_and_after_the_erasure(
    sealing: Stack, redis_server: RedisServer, customers: Customers, secrets: dict[str, str]
) -> None:
    address = {"street": secrets["street"], "city": secrets["city"], "zip": secrets["zip"][:20], "country": "AT"}
    method = {"type": "card", "label": secrets["label"]}
    order = ORDER | {"customer_id": secrets["customer"], "shipping_address": address, "payment_method": method}
    sought = secrets | {"zip": secrets["zip"][:20]}
    await customers.receive("LAPTOP-001", 10)
    order_id = await customers.place(order)
    declined = await customers.place(order | {"payment_method": method | {"type": "card_declined"}})
    await refusals(customers, order, secrets)
    done = await asyncio.to_thread(
        sealing.orderdeck, "order", "place", "--customer", secrets["customer"], "--item", "LAPTOP-001:1:5.00",
        "--street", secrets["street"], "--city", secrets["city"], "--zip", address["zip"], "--country", "AT",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    await customers.events_at_end_of([order_id, declined])
    shipped = await customers.put(order_id, "ship", {"tracking_number": "1Z", "carrier": "UPS"})
    assert shipped.status_code == 200, shipped.text
    await customers.events_at_end(order_id)
    log = await customers.log()
    placed = next(event for event in log if event["event_type"] == "OrderCreated")
    await caught_up(customers, order_id)

    shown = await answers(customers, order_id, placed["position"], secrets["customer"])
    assert [place.name for place in shown if secrets["customer"].encode() not in place.content] == []
    assert [place.name for place in shown if secrets["street"].encode() not in place.content] == []
    assert leaks(places(sealing, redis_server, len(log)), sought) == []

    done = await asyncio.to_thread(sealing.orderdeck, "erase", secrets["customer"], "--reason", "asked for it")
    assert "is erased" in done.stdout, done.stdout + done.stderr
    pseudonym = f"sealed:{done.stdout.split()[1]}"
    rebuilt = await asyncio.to_thread(sealing.orderdeck, "rebuild", "orders", "--follow")
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    hidden = await answers(customers, order_id, placed["position"], pseudonym)
    assert leaks(hidden, sought) == []
    assert [place.name for place in hidden if b"erased" not in place.content] == []
    assert leaks(places(sealing, redis_server, len(log) + 1, keys=True), sought) == []
    verified = await asyncio.to_thread(sealing.orderdeck, "verify", "--json")
    assert json.loads(verified.stdout)["violations"] == []


async def refusals(customers: Customers, order: dict[str, Any], secrets: dict[str, str]) -> None:
    """What an operator's logs, the stored answers or the tables might keep of commands that fail."""
    address = order["shipping_address"]
    for wrong, status in (
        (order | {"shipping_address": address | {"country": "UK"}}, 400),
        (order | {"items": [ORDER["items"][0] | {"quantity": 0}]}, 400),
        (order | {"shipping_address": address["street"]}, 400),
        (order | {secrets["customer"]: 1, "currency": "XXX"}, 400),
    ):
        answer = await customers.commands.post("/api/v1/orders", json=wrong, headers={"Idempotency-Key": str(uuid4())})
        assert answer.status_code == status, answer.text
    key = {"Idempotency-Key": str(uuid4())}
    first = await customers.commands.post("/api/v1/orders", json=order, headers=key)
    again = await customers.commands.post("/api/v1/orders", json=order | {"currency": "EUR"}, headers=key)
    dry = await customers.commands.post("/api/v1/orders?dry_run=true", json=order)
    assert [answer.status_code for answer in (first, again, dry)] == [201, 422, 200]


async def caught_up(customers: Customers, order_id: str) -> None:
    async def shipped() -> bool | None:
        answer = await customers.queries.get(f"/api/v1/orders/{order_id}")
        return True if answer.status_code == 200 and answer.json()["status"] == "SHIPPED" else None

    await eventually(shipped, 20)
