"""Traces are sent to a receiver by OTLP, and whatever the receiver does, nobody waits for it."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from core.errors import ConfigurationError
from core.settings import Settings, load_settings
from daemons.process import trace_export
from daemons.process.trace_export import QUEUE, RecordedSpan, SpanRecorder
from tests.support.ports import free_port
from tests.support.trace_receiver import TraceReceiver

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = GIVEN[:-1] + "0"
OTHER = GIVEN.replace("0af7", "beef")


@pytest.fixture(autouse=True)
def levels_as_before() -> Iterator[None]:
    """A recorder silences loggers of its libraries for its process, which here is the whole suite's."""
    loggers = [logging.getLogger(name) for name in ("opentelemetry", "urllib3", "requests")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="module")
def receiver() -> Iterator[TraceReceiver]:
    with TraceReceiver() as running:
        yield running


def recorder(to: str, **more: Any) -> SpanRecorder:
    settings: dict[str, Any] = {"otel_exporter_otlp_endpoint": to, **more}
    return SpanRecorder(load_settings(**settings), "command-api", "command-api-2")


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("orderdeck_trace_spans_total", {"outcome": outcome}) or 0.0


def test_a_receiver_gets_spans_with_their_service_parent_links_and_the_headers_of_the_settings(
    receiver: TraceReceiver,
) -> None:
    before = count("sent")
    recording = recorder(
        receiver.url,
        otel_exporter_otlp_headers="Api-Key=se%20cret, tenant=shop",
        otel_resource_attributes="deployment.environment.name=staging",
    )
    span = recording.begin("work", GIVEN, kind="server", links=[OTHER], notes={"text": "x" * 9_000, "n": 7})
    span.note("orderdeck.more", value=True)
    span.end("ValueError")
    inner = recording.begin("inner", span.traceparent)
    inner.end()
    recording.close()
    by_name = {one.name: one for one in receiver.spans(GIVEN[3:35])}
    found = by_name["work"]
    assert (found.parent_id, found.service, found.kind, found.failed) == (GIVEN[36:52], "command-api", 2, True)
    assert found.links == (OTHER[3:35],)
    assert found.notes == {"text": "x" * 500, "n": 7, "orderdeck.more": True, "error.type": "ValueError"}
    assert by_name["inner"].parent_id == found.span_id == span.traceparent[36:52]
    assert (receiver.headers["api-key"], receiver.headers["tenant"]) == ("se cret", "shop")
    assert count("sent") == before + 2


@pytest.mark.parametrize(
    ("sampler", "new", "of_sampled", "of_unsampled"),
    [
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("traceidratio", None, False, False),
        ("parentbased_traceidratio", None, True, False),
        ("ParentBased_TraceIdRatio", None, True, False),
    ],
)
def test_a_sampler_decides_as_opentelemetry_says(
    sampler: str, *, new: bool | None, of_sampled: bool, of_unsampled: bool
) -> None:
    recording = recorder("http://127.0.0.1:9", otel_traces_sampler=sampler, otel_traces_sampler_arg=0.1)
    assert recording.takes_part("00-" + "f" * 32 + GIVEN[35:]) is of_sampled
    assert recording.takes_part("00-" + "f" * 32 + UNSAMPLED[35:]) is of_unsampled
    roots = [recording.root("POST", "server") for _ in range(400)]
    begun = [one for one in roots if isinstance(one, RecordedSpan)]
    if new is None:
        assert 5 < len(begun) < 120
    else:
        assert len(begun) == (400 if new else 0)
    names = {one if isinstance(one, str) else one.traceparent for one in roots}
    assert len({name[3:35] for name in names}) == 400
    assert sum(name.endswith("-01") for name in names) == len(begun)
    assert sum(name.endswith("-00") for name in names) == 400 - len(begun)
    recording.close()


def test_a_receiver_that_is_away_refuses_or_never_answers_costs_nothing_and_delays_no_end(
    receiver: TraceReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_export, "SEND_EVERY", 10)
    monkeypatch.setattr(trace_export, "END_WITHIN", 0.4)
    away = f"http://127.0.0.1:{free_port()}"
    lost = count("not_taken")
    for to, status, holds in (
        (away, 200, False),
        (receiver.url, 500, False),
        (receiver.url, 400, False),
        (receiver.url, 200, True),
    ):
        receiver.status = status
        receiver.holds.set() if holds else receiver.holds.clear()
        recording = recorder(to)
        began = time.perf_counter()
        for _ in range(200):
            recording.begin("work", GIVEN.replace("0af7", "dead")).end()
        assert time.perf_counter() - began < 0.5, "recording waited for the receiver"
        recording.close()
        assert time.perf_counter() - began < 1.5, "the end waited for the receiver"
    receiver.holds.clear()
    receiver.status = 200
    assert count("not_taken") >= lost + 200


def test_spans_that_nobody_takes_are_dropped_and_counted_so_that_they_never_fill_the_memory(
    receiver: TraceReceiver,
) -> None:
    receiver.holds.set()
    dropped = count("queue_full")
    recording = recorder(receiver.url)
    for _ in range(2 * QUEUE):
        recording.begin("work", GIVEN.replace("0af7", "dead")).end()
    receiver.holds.clear()
    recording.close()
    assert count("queue_full") >= dropped + QUEUE // 2


@pytest.mark.parametrize(
    ("settings", "to"),
    [
        ({}, ""),
        ({"otel_exporter_otlp_endpoint": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"otel_exporter_otlp_endpoint": "http://c:4318/otlp/"}, "http://c:4318/otlp/v1/traces"),
        ({"otel_exporter_otlp_traces_endpoint": "https://c/in"}, "https://c/in"),
        ({"otel_exporter_otlp_endpoint": "http://c:4318", "otel_traces_exporter": "none"}, ""),
        ({"otel_exporter_otlp_endpoint": "http://c:4318", "otel_sdk_disabled": "true"}, ""),
    ],
)
def test_traces_go_where_the_settings_of_opentelemetry_say(settings: dict[str, str], to: str) -> None:
    assert Settings.model_validate(settings).traces_to == to


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", "must begin with http"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "parentbased_ratio", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "1%", "number"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", "from 0 to 1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secretkey", "names with values"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=x", "names with values"),
    ],
)
def test_a_wrong_setting_of_traces_is_told_in_a_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as raised:
        load_settings()
    assert sentence in str(raised.value)
    assert "secretkey" not in str(raised.value)


def test_nothing_of_opentelemetry_is_loaded_where_no_traces_are_sent() -> None:
    programs = "daemons.command_api.app, daemons.query_api.app, daemons.saga_runner.work, daemons.projector.from_kafka"
    code = (
        f"import sys, daemons.process.runtime, {programs}\nassert not [m for m in sys.modules if 'opentelemetry' in m]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
