"""What strangers read from Kafka: with the clients, the commands and the document that we tell them of."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import jsonschema
import pytest
import yaml
from msgspec.structs import replace
from referencing import Registry, Resource

from core.adapters.kafka.cloud_events import message_of, traceparent
from core.adapters.kafka.partitions import topic_names
from core.adapters.kafka.producer import KafkaBroker
from core.processes import die_with_parent
from core.settings import Settings, load_settings
from tests.support.async_api import PAGE, page
from tests.support.kafka_for_all import KafkaForAll
from tests.support.orders import Sample
from tests.support.pinned import PINNED
from tests.support.sent import Sent, must_have_no_gap, read, reader_of
from tests.support.stored_events import stored_events

ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs/how-to/read-from-kafka.md").read_text(encoding="utf-8")
DOCUMENT: Mapping[str, Any] = yaml.safe_load(PAGE.read_text(encoding="utf-8"))
EVENTS = [*stored_events(PINNED), *Sample(40, payments=True).events()]
"""One of each type, and some orders."""
SCHEMAS = Registry[Any]().with_resources(
    (f"schemas/{path.name}", Resource.from_contents(json.loads(path.read_text(encoding="utf-8"))))
    for path in (PAGE.parent / "schemas").glob("*.json")
)
"""The files that the document refers to."""


@pytest.fixture(scope="module")
def settings(kafka: KafkaForAll) -> Settings:
    """Settings of topics that hold EVENTS."""
    topic = f"{uuid4().hex[:12]}.order-events"
    settings = load_settings(kafka_brokers=kafka.brokers, kafka_topic=topic, kafka_partitions=3)

    async def send() -> None:
        sending = await KafkaBroker(settings).open()
        await sending.send(await sending.prepare(EVENTS))
        await sending.close()

    asyncio.run(send())
    return settings


@pytest.fixture(scope="module")
def messages(settings: Settings) -> Iterator[Sequence[Sent]]:
    with reader_of(settings.kafka_brokers, topic_names(settings).values(), 3) as consumer:
        yield read(consumer, until=len(EVENTS))


def test_under_each_key_the_versions_come_without_gaps_and_everything_about_an_order_in_one_partition_number(
    messages: Sequence[Sent], settings: Settings
) -> None:
    assert len(messages) == len(EVENTS)
    must_have_no_gap(messages)
    names, partitions = topic_names(settings), dict[str, set[int]]()
    for message in messages:
        assert message.key == message.value["aggregate_id"]
        assert message.topic == names[message.value["aggregate_type"]]
        if message.value["aggregate_type"] != "inventory":
            partitions.setdefault(message.value["metadata"]["correlation_id"], set()).add(message.partition)
    assert {len(numbers) for numbers in partitions.values()} == {1}


def test_every_message_is_a_cloud_event_in_binary_mode_and_fits_the_document(messages: Sequence[Sent]) -> None:
    assert {message.value["event_type"] for message in messages} >= set(DOCUMENT["components"]["messages"])
    validators: dict[str, jsonschema.Draft7Validator] = {}
    for message in messages:
        headers, value = message.headers, message.value
        assert (headers["ce_specversion"], headers["content-type"]) == ("1.0", "application/json")
        assert (headers["ce_id"], headers["ce_type"]) == (value["event_id"], value["event_type"])
        assert (headers["ce_subject"], headers["ce_source"]) == (message.key, f"/orderdeck/{value['aggregate_type']}")
        assert not urlsplit(headers["ce_source"]).scheme  # a reference, which a source may be
        assert datetime.fromisoformat(headers["ce_time"]) == datetime.fromisoformat(value["timestamp"])
        assert all(re.fullmatch(r"ce_[a-z0-9]{1,20}|content-type|traceparent", name) for name in headers)
        name = value["event_type"]
        if name not in validators:
            described = DOCUMENT["components"]["messages"][name]
            both = {"type": "object", "properties": {"headers": described["headers"], "payload": described["payload"]}}
            validators[name] = jsonschema.Draft7Validator(
                both | {"components": DOCUMENT["components"]}, registry=SCHEMAS
            )
        validators[name].validate({"headers": dict(headers), "payload": dict(value)})


def test_a_value_is_byte_for_byte_the_envelope_that_is_sent_over_http() -> None:
    for event in EVENTS:
        whole = replace(event, recorded_at=event.recorded_at.replace(microsecond=0))
        for one in (event, whole):
            assert message_of(one)[2] == one.envelope("stored").encode()


def test_a_message_that_is_not_as_the_document_says_does_not_fit_it() -> None:
    payload = DOCUMENT["components"]["messages"]["OrderCreated"]["payload"] | {"components": DOCUMENT["components"]}
    value = json.loads(stored_events([PINNED[0]])[0].envelope().encode())
    jsonschema.Draft7Validator(payload, registry=SCHEMAS).validate(value)
    for change in (
        {"event_type": "OrderShipped"},
        {"event_version": 1},
        {"version": "1"},
        {"payload": value["payload"] | {"items": 1}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft7Validator(payload, registry=SCHEMAS).validate(value | change)


def test_the_document_is_made_of_the_events_and_is_valid_by_the_schema_of_async_api() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "`python -m tests.support.async_api` writes it anew"
    schema = json.loads((ROOT / "tests/data/asyncapi-3.0.0.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(DOCUMENT)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({**DOCUMENT, "channels": {"orderEvents": {"adress": "x"}}})
    for reference in re.findall(r"\$ref: '?#/([\w/]+)", page()):
        place: Any = DOCUMENT
        for name in reference.split("/"):
            place = place[name]
    for file in re.findall(r"\$ref: '?([\w./]+\.json)", page()):
        assert (PAGE.parent / file).is_file()


def test_a_trace_is_what_the_metadata_say_or_one_for_each_order() -> None:
    [event] = stored_events([PINNED[1]])

    def with_metadata(text: str) -> str:
        return traceparent(replace(event, metadata=text), str(event.event_id))

    derived = f"00-{event.correlation_id.hex}-{event.event_id.hex[16:]}-00"
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert with_metadata(f'{{"traceparent": "{given}"}}') == given
    for wrong in ("00-xyz", given.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff{given[2:]}", f"{given}-x"):
        assert with_metadata(f'{{"traceparent": "{wrong}"}}') == derived
    assert with_metadata('{"traceparent": 7}') == with_metadata("{}") == derived


# --- the how-to, word for word ------------------------------------------------------------------------------
def environment(settings: Settings) -> dict[str, str]:
    return os.environ | {"KAFKA_BROKERS": settings.kafka_brokers, "KAFKA_TOPIC": settings.kafka_topic}


ORDERS = [event for event in EVENTS if event.category == "order"]


@pytest.mark.parametrize("number", [0, 1], ids=["confluent-kafka", "aiokafka"])
def test_the_programs_of_the_how_to_print_every_order_event_once(settings: Settings, number: int) -> None:
    program = re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL)[number]
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment(settings),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
    )
    try:
        assert running.stdout is not None
        lines = [running.stdout.readline().split() for _ in ORDERS]
    finally:
        running.kill()
        running.communicate()
    expected = {(str(event.stream), str(event.version), event.event_type) for event in ORDERS}
    assert {tuple(line) for line in lines} == expected


def test_the_kcat_command_of_the_how_to_prints_every_order_event(settings: Settings) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("there is no kcat")
    [command] = re.findall(r"```bash\n(.*?)```", HOW_TO, re.DOTALL)
    done = subprocess.run(
        ["/bin/bash", "-c", command], env=environment(settings), capture_output=True, text=True, check=True, timeout=60
    )
    lines = [line.split(" ", 3) for line in done.stdout.splitlines()]
    assert {(key, json.loads(value)["version"]) for key, _, _, value in lines} == {
        (str(event.stream), event.version) for event in ORDERS
    }
    assert all("ce_type=" in headers for _, _, headers, _ in lines)


def test_the_events_of_these_tests_are_of_every_category_and_no_stream_is_in_two_samples() -> None:
    assert {event.category for event in EVENTS} == set(topic_names(load_settings()))
    first = {event.stream for event in EVENTS[: len(PINNED)]}
    assert not first & {event.stream for event in EVENTS[len(PINNED) :]}
