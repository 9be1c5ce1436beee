"""Reads a command's terms from headers and query: who gives it, the expected version, the idempotency key, dry run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State

from core.domain.validation import wrong_text
from core.errors import FieldError
from core.ports.log import IdempotencyKey
from core.services.execute import Terms
from daemons.http.bodies import T, read_body
from daemons.http.problems import RequestRefused, wrong_fields

AnyRequest = Request[Any, Any, State]

KEY = re.compile(r"[\x21-\x7e]{1,255}")
VERSION = re.compile(r'"([0-9]{1,9})"')
BOOLEANS = {"true": True, "false": False}
LARGEST_BODY = 1 << 20
LONGEST_ACTOR = 100
LONGEST_REQUEST_ID = 200
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_CANONICAL = msgspec.json.Encoder(decimal_format="string", order="sorted")


class NoBody(msgspec.Struct, frozen=True):
    """The body of a command that needs none."""


class CommandRequest:
    """Reads the body and the terms of a command from its HTTP request."""

    __slots__ = ("_headers", "_request")

    def __init__(self, request: AnyRequest) -> None:
        self._request = request
        self._headers = _headers(request)

    def header(self, name: bytes) -> str | None:
        value = self._headers.get(name)
        if value is None:
            return None
        try:
            return value.decode().strip(" \t")
        except UnicodeDecodeError:
            return value.decode("latin-1").strip(" \t")

    async def body(self, kind: type[T]) -> T:
        return read_body(kind, await self._raw(), self.header(b"content-type") or "")

    async def _raw(self) -> bytes:
        """The bytes of the body, read from the server: the framework needs as long for it as we for all else."""
        raw, more = b"", True
        while more:
            message: Any = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise RequestRefused(400, "incomplete_body", "the body ended before its length")
            raw += message["body"]
            more = message["more_body"]
            if len(raw) > LARGEST_BODY:
                raise RequestRefused(413, "request_entity_too_large", "the body is too large")
        return raw

    def terms(self, route: str, body: msgspec.Struct) -> Terms:
        """The terms in the headers and the query; raises RequestRefused (400) when one is malformed."""
        actor = self._text(b"orderdeck-actor", "Orderdeck-Actor", LONGEST_ACTOR)
        key = self._key()
        return Terms(
            user_id=actor,
            request_id=self._text(b"x-request-id", "X-Request-Id", LONGEST_REQUEST_ID),
            expected=self._expected(),
            key=None if key is None else IdempotencyKey(f"{route} {actor or ''}", key, self._fingerprint(body)),
            dry_run=self._dry_run(),
        )

    def _text(self, name: bytes, shown: str, longest: int) -> str | None:
        value = self.header(name)
        wrong = None if not value else wrong_text(value, longest)
        if wrong:
            raise wrong_fields(FieldError(shown, wrong))
        return value or None

    def _key(self) -> str | None:
        value = self.header(b"idempotency-key")
        if value is None:
            return None
        key = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        if not KEY.fullmatch(key):
            raise wrong_fields(FieldError("Idempotency-Key", "must be 1 to 255 visible ASCII characters"))
        return key

    def _fingerprint(self, body: msgspec.Struct) -> bytes:
        """SHA-256 of the path and the decoded body, so that spacing and the order of fields make no difference."""
        return hashlib.sha256(self._request.scope["path"].encode() + b"\n" + _CANONICAL.encode(body)).digest()

    def _expected(self) -> int | None:
        value = self.header(b"if-match")
        if value is None or value == "*":
            return None
        match = VERSION.fullmatch(value)
        if not match:
            raise wrong_fields(FieldError("If-Match", 'must be a version in quotes, as in "3"'))
        return int(match[1])

    def _dry_run(self) -> bool:
        query = self._request.scope["query_string"]
        if not query:
            return False
        values: list[str] = []
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name != "dry_run":  # ignoring a misspelt dry_run would execute the command
                raise wrong_fields(FieldError(name, "there is no such parameter"))
            values.append(value.lower())
        if len(values) > 1:
            raise wrong_fields(FieldError("dry_run", "is given twice"))
        if values and values[0] not in BOOLEANS:
            raise wrong_fields(FieldError("dry_run", "must be true or false"))
        return BOOLEANS[values[0]] if values else False


def _headers(request: AnyRequest) -> Mapping[bytes, bytes]:
    """The headers by name. One that is given twice becomes a list with commas (RFC 9110, 5.3).

    No header that we read may be a list, so the one who reads it refuses it.
    """
    headers: dict[bytes, bytes] = {}
    for name, value in request.scope["headers"]:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def path_uuid(text: str, field: str) -> UUID:
    if not UUID_TEXT.fullmatch(text):
        raise wrong_fields(FieldError(field, "must be a UUID"))
    return UUID(text)
