"""HttpReply: reads what a service has answered, within bounds, and raises what went wrong as the deck's own errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec

from tui.gateway import BeingMade, CommandAccepted, CommandToSend, Health, ServiceRefused, Shape, TimedOut, Unreachable
from tui.wire import Count, Unreadable, WireProblem, read_json

if TYPE_CHECKING:  # it takes a fifth of the deck's start, so it is imported when the first picture stands
    import httpx

BEING_MADE = 202
LARGEST_ANSWER = 16 * 1024 * 1024  # bytes; a hundred orders of 200 lines each have less
MOST_ERRORS, LONGEST_SENTENCE = 100, 1_000

_problems = msgspec.json.Decoder(WireProblem)
NOT_LET_IN = 401  # the status for a key that a service does not know


@dataclass(frozen=True)
class HttpReply:
    status: int
    body: bytes
    replayed: bool
    from_log: bool = False
    several_servers: bool = False  # whether the service reads from replicas too, and so may show less than before


@asynccontextmanager
async def our_errors(url: str) -> AsyncGenerator[None]:
    """Raise the client's errors as ours, which tell what was certainly not sent from what may have been."""
    import httpx  # noqa: PLC0415 - as above

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unreachable(f"{url} does not answer") from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise TimedOut(f"{url} has not answered in time") from error
    except (httpx.TransportError, httpx.StreamError) as error:
        raise TimedOut(f"{url} broke the connection") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"{url}: {error}"[:500]) from error


async def whole(response: httpx.Response) -> HttpReply:
    """The answer's bytes as they came. A compressed answer is refused, because nobody knows how large it will be."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ServiceRefused(
            response.status_code, "unreadable", "an answer that is compressed, which was not asked for"
        )
    parts, size = list[bytes](), 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER:
            raise ServiceRefused(response.status_code, "unreadable", f"an answer of more than {LARGEST_ANSWER:,} bytes")
    return HttpReply(
        response.status_code,
        b"".join(parts),
        replayed=response.headers.get("Idempotent-Replayed") == "true",
        from_log=response.headers.get("Orderdeck-Read-From") == "log",
        several_servers="Orderdeck-Server" in response.headers,
    )


class _Building(msgspec.Struct):
    """How far the lists of a moment are."""

    position: Count
    events_done: Count
    seconds_left: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    waits_for: Count = 0


def read_answer(reply: HttpReply, shape: type[Shape]) -> Shape:
    """The answer in its shape. Raises BeingMade for one that says that it is being made, ServiceRefused for others."""
    if not 200 <= reply.status < 300:
        refuse(reply)
    try:
        if reply.status == BEING_MADE:
            made = read_json(reply.body, msgspec.json.Decoder(_Building))
            raise BeingMade(made.position, made.events_done, made.seconds_left, made.waits_for)
        return read_json(reply.body, msgspec.json.Decoder(shape))
    except Unreadable as error:
        raise ServiceRefused(reply.status, "unreadable", f"an answer this deck cannot read: {error}") from error


def refuse(reply: HttpReply) -> NoReturn:
    try:
        problem = read_json(reply.body, _problems)
    except Unreadable:
        problem = WireProblem()
    sentence = problem.error or problem.detail or problem.title or f"the service answered {reply.status}"
    raise ServiceRefused(reply.status, problem.code, sentence[:LONGEST_SENTENCE], problem.errors[:MOST_ERRORS])


class _Lag(msgspec.Struct):
    events: Count = 0
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e12)] = 0.0


class _Reader(msgspec.Struct):
    lag: _Lag
    name: str = ""


class ProjectionsReply(msgspec.Struct):
    head: Count
    readers: list[_Reader]


def health_of(answer: ProjectionsReply) -> Health:
    """How far the reader is behind that is furthest behind."""
    slowest = max(answer.readers, key=lambda reader: reader.lag.seconds, default=_Reader(_Lag()))
    return Health(answer.head, slowest.lag.events, slowest.lag.seconds, slowest.name)


class CallerReply(msgspec.Struct):
    """Whose key was shown, as far as the deck needs it."""

    role: str


class LetterReplyPart(msgspec.Struct):
    """What became of one dead letter."""

    state: str
    error: str = ""


class LetterReply(msgspec.Struct):
    """What became of dead letters."""

    results: list[LetterReplyPart]
    done: Count
    failing: Count
    waiting: Count
    fitting: Count = 0


def letters_accepted(command: CommandToSend, answer: LetterReply, *, replayed: bool) -> CommandAccepted:
    """What became of dead letters, in the words of the deck's last line."""
    failed = next((result.error for result in answer.results if result.state == "fails"), "")
    counts = {"done": answer.done, "still failing": answer.failing, "waiting for their reader": answer.waiting}
    words = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing to do"
    if (left := answer.fitting - len(answer.results)) > 0:
        words += f", {left:,} more when it is sent again"
    status = f"{words}: {failed}" if failed else words
    return CommandAccepted(command.subject_id or "", status, 0, None, replayed=replayed)
