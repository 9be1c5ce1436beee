"""Notes for the audit what a service answers: every command, and every refusal of somebody who may not ask."""

from __future__ import annotations

from typing import Any

import msgspec

from core.ports.audit import AuditNote, AuditOutcome
from core.printable import without_secrets
from daemons.process.audit_recorder import AuditRecorder
from daemons.process.guard.callers import CALLER, Caller
from daemons.process.guard.refusals import PROBLEM
from daemons.process.guard.roles import row_of
from daemons.process.http_metrics import METHODS, OTHER

NOTE = "orderdeck.audit"  # the key in a request's scope that holds the AuditNote of a command
LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
MAY_NOT = frozenset({401, 403, 421, 429})  # refusals that are noted also of those who only look
LONGEST_PROBLEM = 64 * 1024  # bytes of an answer that is read for its code


class _ProblemCode(msgspec.Struct):
    code: str = ""


_read_problem = msgspec.json.Decoder(_ProblemCode).decode


class Audited:
    """The application of a service, which notes what becomes of each command in the audit."""

    def __init__(self, app: Any, recorder: AuditRecorder) -> None:
        self._app = app
        self._recorder = recorder

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        looks = scope["method"] in LOOKS
        if not looks:
            scope[NOTE] = AuditNote(action=scope["method"])
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            if answer.status in MAY_NOT or not looks:
                self._note(scope, answer)

    def _note(self, scope: Any, answer: _Answer) -> None:
        note: AuditNote = scope.get(NOTE) or AuditNote(action=scope["method"])
        if note.kept or (b"dry_run" in scope["query_string"] and answer.status not in MAY_NOT):
            return
        describe(scope, note)
        status = answer.status
        outcome: AuditOutcome = "done" if 200 <= status < 300 else "refused" if 400 <= status < 500 else "failed"
        problem = answer.problem() if status else "broken_off"
        stranger = "path_template" not in scope or status == 429
        self._recorder.note(note.entry(outcome, status=status, problem=problem), stranger=stranger)


class _Answer:
    """Passes an answer on, and keeps its status and, of a problem, what it says."""

    __slots__ = ("_body", "_is_problem", "_send", "status")

    def __init__(self, send: Any) -> None:
        self._send = send
        self._body = b""
        self._is_problem = False
        self.status = 0

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400:
                self._is_problem = any(
                    name == b"content-type" and value == PROBLEM for name, value in message["headers"]
                )
        elif self._is_problem and len(self._body) < LONGEST_PROBLEM:
            self._body += message.get("body", b"")
        await self._send(message)

    def problem(self) -> str:
        """The code of the problem; empty when it was none."""
        try:
            return without_secrets(_read_problem(self._body).code) if self._body else ""
        except msgspec.DecodeError:
            return ""


def describe(scope: Any, note: AuditNote) -> AuditNote:
    """Write into the note who asks, for whom, from where, and for what."""
    caller: Caller | None = scope.get(CALLER)
    named = _header(scope, b"orderdeck-actor")
    if caller is not None:
        note.caller, note.key_id = caller.name, caller.key_id
        note.on_behalf_of = named if caller.speaks_for_others and named != caller.name else ""
    else:
        note.on_behalf_of = named if "path_template" in scope else ""  # what a stranger calls itself says nothing
    note.source = scope["client"][0] if scope["client"] else ""
    note.request_id = _header(scope, b"x-request-id")
    template = scope.get("path_template")
    if template is None:
        method = scope["method"] if scope["method"] in METHODS else OTHER
        row = row_of(method, scope["path"])
        note.action = f"{method} {row[1]}…" if row else f"{method} {OTHER}"
    else:
        note.action = f"{scope['method']} {template}"
        if scope["method"] not in LOOKS:
            note.target = note.target or " ".join(map(str, scope["path_params"].values()))
            note.status = scope["route_handler"].status_code
    return note


def note_of(scope: Any) -> AuditNote | None:
    """The note of a command, with all that is known of it; None when the audit is off."""
    note: AuditNote | None = scope.get(NOTE)
    return None if note is None else describe(scope, note)


def _header(scope: Any, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return value.decode("utf-8", "replace").strip(" \t")
    return ""
