"""A connection of HTTP/2 of which a test writes each frame, to do what no client of gRPC would."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def call(stream: int, path: str, message: bytes, metadata: Iterable[tuple[str, str]]) -> bytes:
    """The frames of a call of gRPC with one message. Names and values have at most 126 letters."""
    pseudo = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"))
    fields = (*pseudo, ("te", "trailers"), ("content-type", "application/grpc"), *metadata)
    head = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)
    return frame(HEADERS, head, END_HEADERS, stream) + frame(
        DATA, b"\0" + struct.pack(">I", len(message)) + message, END_STREAM, stream
    )


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


class Http2:
    """Connects and says what a client says first."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.send(PREFACE + frame(SETTINGS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read_frame(self) -> tuple[int, bytes] | None:
        """The kind and the payload of the next frame; None once the server has closed the connection."""
        head = self._exactly(9)
        payload = self._exactly(int.from_bytes(head[:3])) if len(head) == 9 else b""
        return (head[3], payload) if len(head) == 9 else None

    def _exactly(self, count: int) -> bytes:
        data = b""
        try:
            while len(data) < count and (part := self._socket.recv(count - len(data))):
                data += part
        except ConnectionError:
            return b""
        return data
