"""The traces of requests and events: which traceparents count, and where the spans of shared work belong."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from core import tracing
from core.adapters.coalesce import Coalescer
from core.adapters.kafka.cloud_events import message_of
from core.adapters.kafka.records import event_of
from core.adapters.postgres.batcher import Batcher, Waiting
from core.codec import encode_metadata
from core.domain.message import Metadata
from core.tracing import (
    MOST_LINKS,
    NOWHERE,
    OLDEST,
    BatchSpans,
    SpansUnderWay,
    TracePlace,
    read_traceparent,
    traceparent_in,
)
from daemons.process.logs import with_place
from daemons.process.traced_requests import followed
from tests.support.fake_tracer import GIVEN, FakeSpan, FakeTracer, trace
from tests.support.pinned import PINNED
from tests.support.stored_events import stored_events

UNSAMPLED = GIVEN[:-1] + "0"


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ([GIVEN], GIVEN),
        ([UNSAMPLED], UNSAMPLED),
        (["cc" + GIVEN[2:]], GIVEN),  # a later version, of which we know this much
        (["cc" + GIVEN[2:] + "-what-comes-later"], GIVEN),
        ([], None),
        ([GIVEN, GIVEN], None),
        ([""], None),
        ([GIVEN + "-more"], None),  # of version 00, which has no more
        (["cc" + GIVEN[2:] + ".more"], None),
        (["ff" + GIVEN[2:]], None),
        (["0" + GIVEN], None),
        ([GIVEN.upper()], None),
        ([GIVEN[:-1]], None),
        ([" " + GIVEN], None),
        (["00-" + "0" * 32 + GIVEN[35:]], None),
        ([GIVEN[:36] + "0" * 16 + "-01"], None),
        ([GIVEN.replace("a", "g")], None),
        ([GIVEN.replace("-", "_")], None),
        ([GIVEN[:-2] + "é1"], None),
        ([GIVEN.replace("0af", "\u0660af")], None),  # a digit, and none of ours
        (["cc" + GIVEN[2:] + "-" + "a" * 10_000], None),
        ([GIVEN + "\r\nx: y"], None),
        ([GIVEN + "\n"], None),
    ],
)
def test_of_a_requests_traceparents_only_a_single_good_one_counts(values: Sequence[str], read: str | None) -> None:
    assert read_traceparent([value.encode() for value in values]) == read


def test_the_trace_of_an_event_is_the_one_that_its_metadata_names_and_nobody_elses_words() -> None:
    [event] = stored_events([PINNED[1]])
    own = Metadata(correlation_id=event.correlation_id, traceparent=GIVEN)
    assert traceparent_in(encode_metadata(own).decode()) == GIVEN
    assert traceparent_in('{"epoch": 1, "traceparent": "' + GIVEN + '"}') == GIVEN  # as PostgreSQL writes it
    claimed = Metadata(correlation_id=event.correlation_id, user_id=f'x","traceparent":"{GIVEN}')
    assert traceparent_in(encode_metadata(claimed).decode()) is None
    for wrong in ("", "{}", '{"traceparent":7}', '{"traceparent":"00-xyz"}', f'{{"traceparent":"{GIVEN}-x"}}'):
        assert traceparent_in(wrong) is None
    assert "traceparent" not in encode_metadata(Metadata(correlation_id=event.correlation_id)).decode()


def test_the_trace_of_an_event_comes_through_kafka_and_a_forged_one_does_not() -> None:
    [event] = stored_events([PINNED[1]])

    def through_kafka(traceparent: str) -> str | None:
        own = Metadata(correlation_id=event.correlation_id, traceparent=traceparent)
        came = event_of(message_of(replace(event, metadata=encode_metadata(own).decode()))[2])
        assert came is not None
        return traceparent_in(came.metadata)

    assert through_kafka(GIVEN) == GIVEN
    for forged in (f'x","traceparent":"{GIVEN}"', "00-xyz", "", GIVEN + "\n"):
        assert through_kafka(forged) is None


async def within(recorder: FakeTracer | None, *headers: tuple[bytes, bytes]) -> tuple[TracePlace, dict[str, Any], Any]:
    """Where a request with these headers is answered, what a log line says there, and the request's scope."""
    scope: dict[str, Any] = {"headers": list(headers), "method": "POST", "path_template": "/api/v1/orders"}
    found: list[TracePlace] = []
    said: dict[str, Any] = {}

    async def answer(scope: Any, _receive: Any, _send: Any) -> None:
        found.append(tracing.place())
        said.update(with_place(None, "", {}))
        scope["orderdeck.status"] = 201

    await asyncio.create_task(followed(answer, scope, None, None, recorder))
    return found[0], said, scope


async def test_a_request_keeps_its_callers_trace_also_where_no_traces_are_recorded() -> None:
    at, said, _ = await within(None, (b"traceparent", GIVEN.encode()), (b"x-request-id", b"r-1"))
    assert at == TracePlace(GIVEN, recorded=False, kept=True, request_id="r-1")
    assert said == {"trace_id": GIVEN[3:35], "span_id": GIVEN[36:52], "request_id": "r-1"}
    at, said, scope = await within(None, (b"traceparent", b"00-nonsense"), (b"x-request-id", b"two words"))
    assert (at.traceparent, at.kept) == ("", False)
    assert said == {"request_id": scope["orderdeck.request_id"]}
    assert len(said["request_id"]) == 32


async def test_a_request_of_a_sampled_trace_becomes_a_span_that_says_its_route_and_status() -> None:
    tracer = FakeTracer()
    at, _, _ = await within(tracer, (b"traceparent", GIVEN.encode()))
    [span] = tracer.spans
    assert (at.recorded, at.kept, at.traceparent) == (True, True, FakeSpan("POST", GIVEN).traceparent)
    assert (span.name, span.parent, span.ended, span.error) == ("POST /api/v1/orders", GIVEN, True, "")
    assert (span.notes["http.route"], span.notes["http.response.status_code"]) == ("/api/v1/orders", 201)
    at, _, _ = await within(tracer, (b"traceparent", UNSAMPLED.encode()))
    assert (at.traceparent, at.recorded, at.kept) == (UNSAMPLED, False, True)
    assert len(tracer.spans) == 1
    await within(tracer)  # without a caller's trace, it begins one
    assert tracer.spans[1].parent[3:7] == "beef"


def inside(tracer: FakeTracer, work: Any) -> None:
    """Do some work in a context of its own, in which this tracer records."""

    def do() -> None:
        tracing.use(tracer)
        work()

    contextvars.copy_context().run(do)


def test_spans_nest_fail_with_the_name_of_the_error_and_end_with_their_block() -> None:
    tracer = FakeTracer()

    def work() -> None:
        with tracing.span("outer", GIVEN):
            assert tracing.kept_traceparent() == tracer.spans[0].traceparent
            assert tracing.exemplar() == {"trace_id": GIVEN[3:35], "span_id": tracing.place().span_id}
            with pytest.raises(ValueError, match="wrong"), tracing.span("inner"):
                raise ValueError("wrong")
            assert tracing.elsewhere().run(tracing.place) == NOWHERE
        assert tracing.place() == NOWHERE
        with tracing.span("not sampled", UNSAMPLED) as none:
            assert (none, tracing.kept_traceparent(), tracing.exemplar()) == (None, UNSAMPLED, None)

    inside(tracer, work)
    assert [(span.name, span.parent, span.error) for span in tracer.spans] == [
        ("outer", GIVEN, ""),
        ("inner", tracer.spans[0].traceparent, "ValueError"),
    ]
    assert all(span.ended for span in tracer.spans)


async def test_reads_that_callers_share_belong_to_the_trace_of_none_of_them() -> None:
    found: list[TracePlace] = []

    async def fetch(keys: Sequence[int]) -> dict[int, int]:
        found.append(tracing.place())
        return dict.fromkeys(keys, 0)

    tracing.go_to(TracePlace(GIVEN, kept=True, request_id="r-1"))
    await Coalescer[int, int](fetch).get(1)
    batcher = Batcher[Any, int](lambda batch: send(batch, found))
    await batcher.submit(SimpleNamespace(touches=frozenset[int](), events=1, size=1))
    assert found == [NOWHERE, NOWHERE]
    assert tracing.kept_traceparent() == GIVEN


async def send(batch: Sequence[Waiting[Any, int]], found: list[TracePlace]) -> None:
    found.append(tracing.place())
    for waiting in batch:
        waiting.settle(0)


def test_a_batch_has_a_span_in_each_trace_which_names_the_others_but_never_too_many() -> None:
    tracer = FakeTracer()
    many = [trace(n) for n in range(1, 40)]
    inside(tracer, lambda: BatchSpans("relay", [*many, many[0], UNSAMPLED], "producer", {"n": 1}).end())
    assert [span.parent for span in tracer.spans] == many
    assert all(span.ended and len(span.links) == MOST_LINKS and span.parent not in span.links for span in tracer.spans)
    assert tracing.tracer() is None
    BatchSpans("relay", many, "producer", {}).end()  # where nobody records
    assert len(tracer.spans) == len(many)


def test_the_spans_of_batches_end_when_their_last_event_is_saved_and_old_events_have_none() -> None:
    tracer = FakeTracer()
    [event] = stored_events([PINNED[1]])
    now = datetime.now(UTC)
    first = replace(event, metadata=f'{{"traceparent":"{trace(1)}"}}', recorded_at=now)
    second = replace(first, metadata=f'{{"traceparent":"{trace(2)}"}}')
    old = replace(first, metadata=f'{{"traceparent":"{trace(3)}"}}', recorded_at=now - timedelta(seconds=2 * OLDEST))
    foreign = replace(first, metadata=f'{{"traceparent":"{trace(4)}"}}', category="saga")

    def work() -> None:
        spans = SpansUnderWay("project orders", ["order"])
        spans.begin([first, old, foreign], [10])
        spans.begin([second], [20])
        spans.reached([1, 10])
        assert [(span.parent, span.ended) for span in tracer.spans] == [(trace(1), True), (trace(2), False)]
        spans.forget()
        spans.reached([1, 20])
        assert not tracer.spans[1].ended

    inside(tracer, work)
