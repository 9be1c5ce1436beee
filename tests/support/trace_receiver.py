"""A receiver of traces by OTLP over HTTP: it decodes what daemons send, and may be slow, refuse, or never answer."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True)
class ReceivedSpan:
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    kind: int
    notes: dict[str, Any]
    links: tuple[str, ...]
    """The traces of other spans of the same batch."""
    failed: bool


class TraceReceiver:
    """`status` is what it answers; while `holds` is set, it takes requests and answers none."""

    def __init__(self) -> None:
        self.status = 200
        self.holds = threading.Event()
        self.requests = 0
        self.headers: dict[str, str] = {}
        self._spans: list[ReceivedSpan] = []
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests += 1
                outer.headers = {name.lower(): value for name, value in self.headers.items()}
                while outer.holds.is_set() and not outer._ending.is_set():
                    outer._ending.wait(0.05)
                if outer.status == 200 and self.path == "/v1/traces":
                    text = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                    outer._spans.extend(read(text))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def spans(self, trace_id: str) -> Sequence[ReceivedSpan]:
        return [span for span in list(self._spans) if span.trace_id == trace_id]

    def all_spans(self) -> Sequence[ReceivedSpan]:
        return list(self._spans)


def read(body: bytes) -> list[ReceivedSpan]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    found: list[ReceivedSpan] = []
    for resource in request.resource_spans:
        said = {one.key: value_of(one.value) for one in resource.resource.attributes}
        for scope in resource.scope_spans:
            found += [
                ReceivedSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    service=str(said["service.name"]),
                    kind=span.kind,
                    notes={one.key: value_of(one.value) for one in span.attributes},
                    links=tuple(link.trace_id.hex() for link in span.links),
                    failed=span.status.code == 2,
                )
                for span in scope.spans
            ]
    return found


def value_of(value: AnyValue) -> Any:
    return getattr(value, str(value.WhichOneof("value")))
