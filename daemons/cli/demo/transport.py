"""What the demo's HTTP clients send requests through: answers are bounded in size and time, and never unpacked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import httpx

from core.credentials import Show
from daemons.host.bounded_http import LARGEST, shown

WITHIN = 30.0  # seconds for one whole answer


class BoundedTransport(httpx.HTTPTransport):
    """It knows no proxies, so none from the environment stands between the demo and 127.0.0.1."""

    def __init__(self, show: Show) -> None:
        super().__init__()
        self._show = show

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = "identity"
        request.headers.update(shown(self._show(str(request.url))))
        deadline = time.monotonic() + WITHIN
        response = super().handle_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            response.close()
            raise httpx.DecodingError("the answer is compressed, although that was not asked for", request=request)
        response.stream = _BoundedStream(cast("httpx.SyncByteStream", response.stream), deadline)
        return response


class _BoundedStream(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._stream:
            size += len(chunk)
            if size > LARGEST:
                raise httpx.ReadError(f"the answer is longer than {LARGEST} bytes")
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout(f"no whole answer within {WITHIN:g} s")
            yield chunk

    def close(self) -> None:
        self._stream.close()
