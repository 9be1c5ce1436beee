"""Records the spans of a daemon and sends them by OTLP over HTTP, with OpenTelemetry's own library.

Nothing waits for the receiver: spans wait in a queue of bounded length, a thread of its own sends them, and what the
receiver does not take is dropped and counted. This module is imported only where the settings name a receiver.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from random import getrandbits
from typing import Any

import requests
import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from prometheus_client import Counter

from core.settings import Settings
from core.tracing import Kind, Note

QUEUE = 4_096  # spans that may wait; more are dropped
SEND_EVERY = 1_000  # milliseconds
MOST_TOGETHER = 512  # spans in one request
ANSWERS_WITHIN = 5.0  # seconds for a request to the receiver and its repetitions
END_WITHIN = 2.0  # seconds in which the last spans may still be sent when the daemon stops
LONGEST_TEXT = 500  # characters of one attribute

KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
ROOT = Context()  # of a span that has no parent

SPANS = Counter("orderdeck_trace_spans", "Spans of traces, by what became of them.", ["outcome"])
SENT, LOST, DROPPED = SPANS.labels("sent"), SPANS.labels("not_taken"), SPANS.labels("queue_full")

_log = structlog.get_logger(__name__)


class _GivenTraceId(RandomIdGenerator):
    """Gives the next trace the id by which we have decided that it is recorded."""

    next = 0

    def generate_trace_id(self) -> int:
        return self.next


class _Telling(SpanExporter):
    """Counts what the receiver takes, and says once in the log that it takes nothing, and that it does again."""

    def __init__(self, sending: SpanExporter, to: str) -> None:
        self._sending = sending
        self._to = to
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._sending.export(spans)
        except Exception as error:  # noqa: BLE001 - whatever it is, the daemon has nothing to do with it
            result, why = SpanExportResult.FAILURE, type(error).__name__
        else:
            why = "it is away, or does not take them"
        if result is SpanExportResult.SUCCESS:
            SENT.inc(len(spans))
            if self._fails:
                _log.info("traces are taken again", receiver=self._to)
            self._fails = False
            return result
        LOST.inc(len(spans))
        if not self._fails:
            _log.warning("traces are lost", receiver=self._to, reason=why)
        self._fails = True
        return result

    def shutdown(self) -> None:
        self._sending.shutdown()


class _Queue(BatchSpanProcessor):
    """Counts the spans that find no room."""

    def on_end(self, span: ReadableSpan) -> None:
        waiting: Any = self._batch_processor
        if len(waiting._queue) >= QUEUE:  # noqa: SLF001 - the library only logs it, once for each span
            DROPPED.inc()
        else:
            super().on_end(span)


class RecordedSpan:
    """See `core.tracing.Span`."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Any) -> None:
        self._span = span
        where = span.get_span_context()
        self.traceparent = f"00-{where.trace_id:032x}-{where.span_id:016x}-01"

    def note(self, name: str, value: Note) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def end(self, error: str = "") -> None:
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class SpanRecorder:
    """See `core.tracing.Tracer`. `close` it before the process ends."""

    def __init__(self, settings: Settings, program: str, process: str) -> None:
        for name in ("opentelemetry", "urllib3", "requests"):  # what matters of it we say ourselves
            logging.getLogger(name).setLevel(logging.CRITICAL)
        session = requests.Session()
        session.trust_env = False  # as in all our clients: no proxy is asked, and no netrc read
        to = settings.traces_to
        sending = OTLPSpanExporter(to, headers=settings.trace_headers, timeout=ANSWERS_WITHIN, session=session)
        self._queue = _Queue(
            _Telling(sending, to),
            max_queue_size=QUEUE,
            schedule_delay_millis=SEND_EVERY,
            max_export_batch_size=MOST_TOGETHER,
        )
        self._ids = _GivenTraceId()
        self._sampler = _sampler(settings)
        provider = TracerProvider(
            sampler=sampling.ALWAYS_ON,  # of what `takes_part` and `root` have chosen
            resource=_resource(settings, program, process),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        provider.add_span_processor(self._queue)
        self._tracer = provider.get_tracer("orderdeck", version("orderdeck"))
        _log.info("records traces", receiver=to, sampler=settings.otel_traces_sampler)

    def takes_part(self, traceparent: str) -> bool:
        sampled = self._sampler.should_sample(_context(traceparent), int(traceparent[3:35], 16), "")
        return sampled.decision.is_sampled()

    def root(self, name: str, kind: Kind) -> RecordedSpan | str:
        """The first span of a new trace; the traceparent of a trace that is not recorded, if it is not chosen."""
        number = getrandbits(128) or 1
        if not self._sampler.should_sample(ROOT, number, name).decision.is_sampled():
            return f"00-{number:032x}-{getrandbits(64) or 1:016x}-00"
        self._ids.next = number
        return RecordedSpan(self._tracer.start_span(name, ROOT, kind=KINDS[kind]))

    def begin(
        self,
        name: str,
        parent: str,
        *,
        kind: Kind = "internal",
        links: Sequence[str] = (),
        notes: Mapping[str, Note] | None = None,
    ) -> RecordedSpan:
        texts = {key: value[:LONGEST_TEXT] if isinstance(value, str) else value for key, value in (notes or {}).items()}
        return RecordedSpan(
            self._tracer.start_span(
                name,
                _context(parent),
                kind=KINDS[kind],
                attributes=texts,
                links=[Link(_where(link)) for link in links],
            )
        )

    def close(self) -> None:
        """Send what waits, but within END_WITHIN seconds, whatever the receiver does."""
        ending = threading.Thread(target=self._queue.shutdown, daemon=True)
        ending.start()
        ending.join(END_WITHIN)


def _context(traceparent: str) -> Context:
    return set_span_in_context(NonRecordingSpan(_where(traceparent)), ROOT)


def _where(traceparent: str) -> SpanContext:
    flags = TraceFlags(int(traceparent[53:55], 16))
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote=True, trace_flags=flags)


def _sampler(settings: Settings) -> sampling.Sampler:
    name = settings.otel_traces_sampler
    chosen: sampling.Sampler = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": sampling.TraceIdRatioBased(settings.otel_traces_sampler_arg),
    }[name.removeprefix("parentbased_")]
    return sampling.ParentBased(chosen) if name.startswith("parentbased_") else chosen


def _resource(settings: Settings, program: str, process: str) -> Resource:
    own = {
        "service.namespace": "orderdeck",
        "service.name": program,
        "service.version": version("orderdeck"),
        "service.instance.id": f"{process}@{socket.gethostname()}:{os.getpid()}",
    }
    named = {"service.name": settings.otel_service_name} if settings.otel_service_name else {}
    return Resource({"telemetry.sdk.language": "python", **own, **settings.trace_attributes, **named})
