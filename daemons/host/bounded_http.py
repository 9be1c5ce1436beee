"""Requests of the command to services that may be broken or hostile: bounded in time and size, and read safely."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from core.errors import Unavailable

LARGEST = 16 * 1024 * 1024  # bytes of one answer, which are not decompressed
BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)
"""What code raises that reads an answer of other types than it expects."""


class AnswerUnreadable(Unavailable):
    """A service gave an answer that is none of this release."""


@dataclass(frozen=True)
class ServiceAnswer:
    status: int
    body: bytes

    def json(self) -> Any:
        """The body with fractions as texts, since a float could change an amount. Raises ValueError."""
        try:
            return json.loads(self.body, parse_float=str)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


def shown(key: str | None) -> dict[str, str]:
    """The header that shows this key; none without one."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def ask(
    url: str,
    *,
    within: float,
    method: str = "GET",
    parameters: Mapping[str, str | Sequence[str]] | None = None,
    headers: Mapping[str, str] | None = None,
    body: object = None,
) -> ServiceAnswer:
    """Send one request and read its answer within so many seconds; raises OSError, HTTPException or ValueError."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=within)
    content = None if body is None else json.dumps(body).encode()
    kinds = {"Content-Type": "application/json"} if content is not None else {}
    target = f"{parts.path or '/'}?{urlencode(parameters, doseq=True)}" if parameters else parts.path or "/"
    return exchange(connection, method, target, content, {**kinds, **(headers or {})}, within=within)


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    content: bytes | None,
    headers: Mapping[str, str],
    *,
    within: float,
) -> ServiceAnswer:
    """As `ask`, over a connection that is not open yet; it is closed in the end."""
    late = threading.Event()

    def cut_off() -> None:
        late.set()
        with contextlib.suppress(OSError, AttributeError):  # AttributeError: it has no socket, or none any more
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(within, cut_off)  # a limit for each read would not end an answer that comes byte by byte
    timer.daemon = True
    timer.start()
    try:
        connection.request(method, target, content, headers)
        answer = connection.getresponse()
        if answer.getheader("Content-Encoding", "identity") != "identity":
            raise ValueError("the answer is compressed, although that was not asked for")
        data = answer.read(LARGEST + 1)
        if late.is_set():
            raise TimeoutError(f"no whole answer within {within:g} s")
        if len(data) > LARGEST:
            raise ValueError(f"the answer is longer than {LARGEST} bytes")
        return ServiceAnswer(answer.status, data)
    except (OSError, http.client.HTTPException) as error:
        if late.is_set() or isinstance(error, TimeoutError):  # the socket has the same limit, and may be first
            raise TimeoutError(f"no whole answer within {within:g} s") from None
        raise
    finally:
        timer.cancel()
        connection.close()


def ask_or_say_why(url: str, **arguments: Any) -> ServiceAnswer:
    """As `ask`, but raises Unavailable with a sentence."""
    try:
        return ask(url, **arguments)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"{url} has not answered as it should: {error or type(error).__name__}") from None


@contextlib.contextmanager
def readable(url: str) -> Generator[None]:
    """Within this block an answer of this service is read; raises AnswerUnreadable if it is not what we expect."""
    try:
        yield
    except BROKEN as error:
        what = f"{type(error).__name__}: {error}"[:200]
        raise AnswerUnreadable(f"{url} gave an answer that this release cannot read ({what})") from None
