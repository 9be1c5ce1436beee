"""One trace, seen by a real receiver of OTLP, from the request of an order to its read model and its saga's steps."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.command_api import ORDER
from tests.support.stack import Stack, until
from tests.support.trace_receiver import ReceivedSpan, TraceReceiver

CALLERS_SPAN = "b7ad6b7169203331"
STEPS = ("reserve_inventory", "authorize_payment", "confirm_order")


def place(stack: Stack, *traceparents: str) -> dict[str, Any]:
    headers = [("traceparent", one) for one in traceparents] + [("X-Request-Id", "traced")]
    answer = httpx.post(stack.url + "/api/v1/orders", json=ORDER, headers=headers, trust_env=False, timeout=20)
    assert answer.status_code == 201, answer.text
    return answer.json()


def traces_of(stack: Stack, order: dict[str, Any]) -> list[str | None]:
    """The traceparents that the events of an order name, once it is confirmed."""
    address = f"http://127.0.0.1:{stack.port('query')}/api/v1/orders/{order['order_id']}/timeline"

    def events() -> list[dict[str, Any]]:
        return httpx.get(address, trust_env=False, timeout=20).raise_for_status().json()["events"]

    until(lambda: any(one["event_type"] == "OrderConfirmed" for one in events()))
    return [one["metadata"].get("traceparent") for one in events()]


@pytest.fixture(scope="module")
def trace(stack: Stack) -> str:
    """The name of a trace in which an order was placed, and came as far as its confirmation."""
    name = secrets.token_hex(16)
    named = traces_of(stack, place(stack, f"00-{name}-{CALLERS_SPAN}-01"))
    assert {one and one[:36] for one in named} == {f"00-{name}-"}, "every event names the trace"
    return name


def test_one_trace_leads_from_the_request_to_the_read_models_the_steps_of_the_saga_and_the_provider(
    stack: Stack, trace: str, trace_receiver: TraceReceiver
) -> None:
    awaited = {"POST /api/v1/orders", "POST /api/v1/charges/{payment_id}/authorise", "project orders", "project stock"}
    awaited |= {f"fulfil_order {step}" for step in STEPS}

    def complete() -> bool:
        spans = trace_receiver.spans(trace)
        known = {CALLERS_SPAN, *(span.span_id for span in spans)}
        return awaited <= {span.name for span in spans} and all(span.parent_id in known for span in spans)

    until(complete)
    spans = trace_receiver.spans(trace)
    by_id = {span.span_id: span for span in spans}
    [request] = [span for span in spans if span.parent_id == CALLERS_SPAN]
    assert (request.service, request.name) == ("command-api", "POST /api/v1/orders")
    assert request.notes["http.response.status_code"] == 201
    assert request.notes["orderdeck.request_id"] == "traced"
    assert all(span.parent_id in by_id for span in spans if span is not request), "every span hangs together with it"
    assert not any(span.failed for span in spans)

    below = children(spans, request)
    assert {"append"} | {f"fulfil_order {step}" for step in STEPS} <= below.keys()
    authorise = children(spans, below["fulfil_order authorize_payment"])
    assert {"append", "provider authorise"} <= authorise.keys()
    [charge] = children(spans, authorise["provider authorise"]).values()
    assert (charge.service, charge.name) == ("payment-sandbox", "POST /api/v1/charges/{payment_id}/authorise")
    reserve = children(spans, below["fulfil_order reserve_inventory"])
    assert "append" in reserve
    # What a projector applies together has one span in the trace, below what recorded the first of it.
    recorders = {span.span_id for span in spans if span.service in {"command-api", "saga-runner"}}
    assert all(span.parent_id in recorders for span in spans if span.service == "projector")
    assert {one.service for one in spans} == {"command-api", "projector", "saga-runner", "payment-sandbox"}
    assert stack.status()["ready"], "and nothing is amiss"


def children(spans: Sequence[ReceivedSpan], parent: ReceivedSpan) -> dict[str, ReceivedSpan]:
    return {span.name: span for span in spans if span.parent_id == parent.span_id}


def test_an_exemplar_leads_from_a_histogram_to_the_trace(stack: Stack, trace: str) -> None:
    for program, histogram in (
        ("command", "orderdeck_http_request_duration_seconds"),
        ("saga_runner", "orderdeck_provider_call_duration_seconds"),
    ):
        address = f"http://127.0.0.1:{stack.port(program)}/metrics"
        headers = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        answer = httpx.get(address, headers=headers, trust_env=False, timeout=20)
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        shown = [sample.exemplar for sample in families[histogram].samples if sample.exemplar is not None]
        assert trace in {exemplar.labels["trace_id"] for exemplar in shown}
        plain = httpx.get(address, trust_env=False, timeout=20)
        assert plain.headers["content-type"].startswith("text/plain")
        assert "trace_id" not in plain.text


def test_hostile_and_unsampled_traceparents_cost_nobody_an_order_and_are_recorded_nowhere(
    stack: Stack, trace_receiver: TraceReceiver
) -> None:
    name = secrets.token_hex(16)
    good = f"00-{name}-{CALLERS_SPAN}-01"
    for hostile in (
        [good, good],
        ["x" * 5_000],
        [f"ff{good[2:]}"],
        [f"00-{'0' * 32}-{CALLERS_SPAN}-01"],
        [f"{good}-x"],
    ):
        assert set(traces_of(stack, place(stack, *hostile))) == {None}
    unsampled = f"{good[:-1]}0"
    assert set(traces_of(stack, place(stack, unsampled))) == {unsampled}, "it is kept, since the caller may want it"
    assert trace_receiver.spans(name) == []
