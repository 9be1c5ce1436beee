"""Refusals of calls: the problem documents of HTTP, as the statuses of gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc
import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

from core.errors import FieldError, sentence

DOMAIN = "orderdeck"
DETAILS = "grpc-status-details-bin"
# A client takes 8 KiB of headers by default. A byte of the sentence may take three there, one of the details 4/3.
LONGEST_SENTENCE = 1_000  # bytes
LONGEST_DETAILS = 3_000  # bytes

CODES: Mapping[int, grpc.StatusCode] = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ABORTED,
    412: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    414: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""The status of each status of HTTP but 400; every other one is a mistake of ours."""


SENTENCES: Mapping[str, str] = {
    "key_missing": "this needs a key: send it in the metadata, as `authorization: Bearer od_…`",
    "signature_incomplete": "a key without a secret opens nothing here: it signs requests over HTTP",
}
"""What is said instead of the sentence of HTTP, which tells to do what gRPC does not take."""


class SentProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem document, as the HTTP services write it."""

    status: int
    code: str
    detail: str
    type: str = ""
    title: str = ""
    errors: Sequence[FieldError] = ()


class CallRefused(Exception):
    """A call ends with this problem. `retry_after`: seconds after which it may be tried again."""

    def __init__(self, problem: SentProblem, *, retry_after: float | None = None, request_id: str = "") -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after = retry_after
        self.request_id = request_id

    @property
    def code(self) -> grpc.StatusCode:
        problem = self.problem
        if problem.code == "outcome_unknown":
            return grpc.StatusCode.UNKNOWN  # clients repeat what is UNAVAILABLE by themselves, and this may be done
        if problem.status == 400:  # either a field is wrong, or the state of the order does not allow it
            return grpc.StatusCode.INVALID_ARGUMENT if problem.errors else grpc.StatusCode.FAILED_PRECONDITION
        return CODES.get(problem.status, grpc.StatusCode.INTERNAL)

    @property
    def sentence(self) -> str:
        said = SENTENCES.get(self.problem.code, self.problem.detail)
        return said.encode()[:LONGEST_SENTENCE].decode(errors="ignore")

    def details(self) -> bytes:
        """A google.rpc.Status, with as many of the wrong fields as there is room for."""
        violations = [
            BadRequest.FieldViolation(field=wrong.field, description=wrong.message) for wrong in self.problem.errors
        ]
        while len(data := self._status(violations).SerializeToString()) > LONGEST_DETAILS and violations:
            violations.pop()
        return data

    def _status(self, violations: Sequence[BadRequest.FieldViolation]) -> Status:
        problem = self.problem
        number, _ = self.code.value
        status = Status(code=number, message=self.sentence)
        said = {"status": str(problem.status), "code": problem.code, "type": problem.type, "title": problem.title}
        details: list[Message] = [ErrorInfo(reason=problem.code.upper(), domain=DOMAIN, metadata=said)]
        if violations:
            details.append(BadRequest(field_violations=violations))
        if self.retry_after is not None:
            wait = Duration()
            wait.FromMilliseconds(round(1000 * self.retry_after))
            details.append(RetryInfo(retry_delay=wait))
        if self.request_id:
            details.append(RequestInfo(request_id=self.request_id))
        for each in details:
            status.details.add().Pack(each)
        return status


def refusal(
    status: int, code: str, detail: str, *fields: FieldError, retry_after: float | None = None, request_id: str = ""
) -> CallRefused:
    """A refusal that no HTTP service has given."""
    problem = SentProblem(
        status=status,
        code=code,
        detail=detail,
        type=f"urn:orderdeck:problem:{code}",
        title=code.replace("_", " ").capitalize(),
        errors=fields,
    )
    return CallRefused(problem, retry_after=retry_after, request_id=request_id)


def wrong_field(field: str, message: str) -> CallRefused:
    return refusal(400, "validation_failed", sentence((error := FieldError(field, message),)), error)
