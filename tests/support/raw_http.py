"""Sends bytes to a service, and reads its answer as it is: what no HTTP client would send or accept."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from typing import Any

PATIENCE = 20.0  # seconds


@dataclass(frozen=True)
class RawAnswer:
    """`rest` is what follows the headers, without its chunks taken apart."""

    status: int
    headers: dict[str, str]
    rest: bytes

    @property
    def code(self) -> str:
        """The code of a problem document; empty for other answers."""
        problem = self.headers.get("content-type") == "application/problem+json"
        return json.loads(self.rest)["code"] if problem and self.rest else ""

    @property
    def document(self) -> Any:
        return json.loads(self.rest)


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    """A connection that comes from this address of loopback."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(address, 0))


def send(port: int, data: bytes, *, address: str = "127.0.0.1") -> RawAnswer:
    """Send these bytes, or as many as are taken, and read one answer."""
    with connect(port, address) as connection:
        with contextlib.suppress(ConnectionError):  # refused before all of it was sent: the answer says why
            connection.sendall(data)
        return read(connection, has_body=not data.startswith(b"HEAD"))


def read(connection: socket.socket, *, has_body: bool = True) -> RawAnswer:
    """The next answer on a connection; status 0 when it is closed without one. The answer to HEAD has no body."""
    data = _until(connection, b"", lambda data: b"\r\n\r\n" in data)
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head:
        return RawAnswer(0, {}, b"")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers.get("content-length", 0)) if has_body else 0
    return RawAnswer(int(first.split()[1]), headers, _until(connection, rest, lambda rest: len(rest) >= length))


def closed(connection: socket.socket) -> bool:
    """Whether the other end closes this connection before the patience ends; what it still sends is dropped."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def _until(connection: socket.socket, data: bytes, done: Any) -> bytes:
    while not done(data):
        try:
            more = connection.recv(65536)
        except ConnectionError:
            break
        if not more:
            break
        data += more
    return data


def request(
    method: str = "GET", target: str = "/health", *headers: str, host: str | None = "localhost", body: bytes = b""
) -> bytes:
    """A request of HTTP/1.1; each header is a whole line, and so is what `host` becomes."""
    lines = [f"{method} {target} HTTP/1.1", *([] if host is None else [f"Host: {host}"]), *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
