"""Reads a command's terms from headers and query: who gives it, the expected version, the idempotency key, dry run."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State

from core.domain.validation import wrong_text
from core.errors import FieldError
from core.ports.audit import AuditNote
from core.ports.log import IdempotencyKey
from core.services.execute import Terms
from daemons.command_api.fingerprints import fingerprint, former_fingerprint
from daemons.command_api.ignored import listed
from daemons.http.bodies import T, read_body
from daemons.http.callers import actor_of, key_owner
from daemons.http.headers import on_the_wire, one_header
from daemons.http.limits import receive_body
from daemons.http.problems import wrong_fields
from daemons.process.audited import describe, note_of

AnyRequest = Request[Any, Any, State]

KEY = re.compile(r"[\x21-\x7e]{1,255}")
VERSION = re.compile(r'"([0-9]{1,9})"')
BOOLEANS = {"true": True, "false": False}
LARGEST_BODY = 1 << 20
MOST_PARAMETERS = 20
LONGEST_ACTOR = 100
LONGEST_REQUEST_ID = 200
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class NoBody(msgspec.Struct, frozen=True):
    """The body of a command that needs none: nothing, or an object, whose fields are then reported as unknown."""


class CommandRequest:
    """Reads the body and the terms of a command from its HTTP request."""

    __slots__ = ("_given", "_headers", "_ignored", "_options", "_request", "_sent")

    def __init__(self, request: AnyRequest) -> None:
        self._request = request
        self._headers = request.scope["headers"]
        self._given = dict(self._headers)
        self._options = _options(request.scope["query_string"])
        self._ignored: tuple[str, ...] = ()
        self._sent: msgspec.Struct | None = None

    def header(self, name: str) -> str | None:
        return one_header(self._headers, name) if on_the_wire(name) in self._given else None

    def refuse_dry_run(self) -> None:
        """Raise RequestRefused when a dry run is asked for, of a command that has none."""
        if self._options["dry_run"]:
            raise wrong_fields(FieldError("dry_run", "there is no dry run of this command"))

    async def body(self, kind: type[T]) -> T:
        content_type = self.header("Content-Type") or ""
        raw = await receive_body(self._request.receive, LARGEST_BODY)
        if kind is NoBody and not raw.strip():
            raw, content_type = b"{}", "application/json"
        body = read_body(kind, raw, content_type, strict=self._options["strict"])
        self._ignored, self._sent = body.ignored, body.sent
        return body.value

    def terms(self, route: str, body: msgspec.Struct) -> Terms:
        """The terms in the headers and the query; raises RequestRefused (400) when one is malformed."""
        actor = self.actor()
        return Terms(
            user_id=actor,
            request_id=self._text("X-Request-Id", LONGEST_REQUEST_ID),
            expected=self._expected(),
            key=self._key(route, body, key_owner(self._request.scope, actor)),
            dry_run=self._options["dry_run"],
            ignored=listed(self._ignored),
            note=None if self._options["dry_run"] else note_of(self._request.scope),
        )

    def note(self) -> AuditNote:
        """What the audit records of a command that is recorded also when the audit is off."""
        scope: Any = self._request.scope
        return note_of(scope) or describe(scope, AuditNote(action=scope["method"]))

    def actor(self) -> str | None:
        """Who gives the command, as events name it; raises RequestRefused (400) when the header is malformed."""
        return actor_of(self._request.scope, self._text("Orderdeck-Actor", LONGEST_ACTOR))

    def _text(self, name: str, longest: int) -> str | None:
        value = self.header(name)
        wrong = None if not value else wrong_text(value, longest)
        if wrong:
            raise wrong_fields(FieldError(name, wrong))
        return value or None

    def _key(self, route: str, body: msgspec.Struct, owner: str) -> IdempotencyKey | None:
        value = self.header("Idempotency-Key")
        if value is None:
            return None
        key = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        if not KEY.fullmatch(key):
            raise wrong_fields(FieldError("Idempotency-Key", "must be 1 to 255 visible ASCII characters"))
        scope: Any = self._request.scope
        former = partial(former_fingerprint, scope["path"], self._sent or body)
        return IdempotencyKey(f"{route} {owner}", key, fingerprint(route, scope["path_params"], body), former)

    def _expected(self) -> int | None:
        value = self.header("If-Match")
        if value is None or value == "*":
            return None
        match = VERSION.fullmatch(value)
        if not match:
            raise wrong_fields(FieldError("If-Match", 'must be a version in quotes, as in "3"'))
        return int(match[1])


def _options(query: bytes) -> dict[str, bool]:
    """What the query says. A parameter that is misspelt is refused: without `dry_run` the command would be executed."""
    options = {"dry_run": False, "strict": False}
    if not query:
        return options
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        detail = f"must be UTF-8, percent-encoded, and have at most {MOST_PARAMETERS} fields"
        raise wrong_fields(FieldError("query", detail)) from None
    given: set[str] = set()
    for name, value in pairs:
        if name not in options:
            raise wrong_fields(FieldError(name, "there is no such parameter; there are dry_run and strict"))
        if name in given:
            raise wrong_fields(FieldError(name, "is given twice"))
        if value.lower() not in BOOLEANS:
            raise wrong_fields(FieldError(name, "must be true or false"))
        given.add(name)
        options[name] = BOOLEANS[value.lower()]
    return options


def path_uuid(text: str, field: str) -> UUID:
    if not UUID_TEXT.fullmatch(text):
        raise wrong_fields(FieldError(field, "must be a UUID"))
    return UUID(text)
