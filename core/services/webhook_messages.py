"""Webhook messages: what is sent for an event or a test, signed by Standard Webhooks 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from standardwebhooks import Webhook as Signer

from core.ports.webhooks import DueCall
from core.services.open_answers import AnswerOpener
from core.tracing import kept_traceparent, traceparent_in


class Message(NamedTuple):
    headers: Mapping[str, str]
    body: bytes


async def message_of(call: DueCall, opener: AnswerOpener) -> Message:
    """The message as it is sent now: what is sealed is opened, or says that it is erased, as the query API answers.

    Raises Unavailable while the keys of customers cannot be read.
    """
    moment = call.created_at if call.event is None else call.event.recorded_at
    data = b"" if call.data is None else call.data.encode()
    if call.event is not None:
        data = await opener.open(call.event.envelope().encode())
    about = msgspec.json.encode({"type": call.message_type, "timestamp": moment})
    body = about[:-1] + b',"data":' + data + b"}"
    id_, now = str(call.message_id), datetime.now(UTC)
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(id_, now, body.decode()) for secret in call.secrets),
    }
    traceparent = kept_traceparent() or trace_of(call)  # that of the span of this call, if there is one
    return Message(headers if traceparent is None else {**headers, "traceparent": traceparent}, body)


def trace_of(call: DueCall) -> str | None:
    """The trace in which the event was recorded, so that the receiver's own trace goes on from it."""
    return None if call.event is None else traceparent_in(call.event.metadata)
