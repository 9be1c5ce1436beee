"""The error tree: every failure that we expect has a class of its own, and its text is one sentence.

OrderdeckError
├── Rejected                 the domain refused a command; nothing was recorded
│   ├── InvalidInput         some fields are wrong; it names each of them
│   ├── NotAllowed           the command is not possible in the present state
│   └── NotFound             there is no such order, saga or SKU
├── VersionConflict          another writer appended to the stream first
├── PreconditionFailed       the caller named a version, and the stream is at another one
├── SagaTaken                an operator wants to steer a saga that a runner is working on
├── KeyReused                a caller sent a known idempotency key with another command
├── FulfilmentNotFinished    an order cannot be shipped yet, because its saga still works on it
├── UnknownEvent             a stream holds an event that this release does not know
├── Unavailable              the database is away or busy, or a queue is full; the same will work later
│   ├── OutcomeUnknown       an append was sent, and nobody could find out in time whether it was recorded
│   ├── QueueFull            too many appends wait; this one was not sent
│   ├── BacklogFull          too many sagas wait for a runner, so no new order is taken
│   └── SharesDivided        others have divided a reader's work into another number of shares; wait until they stop
├── DatabaseFault            the database will not do it until a person mends something
├── ValuesRefused            the database refused these values; it would take others
├── CheckpointMoved          another projector has opened or saved the read models since; ours saves nothing
├── ShareLost                another process has taken a share of a reader's work; ours saves nothing more of it
├── LogShorter               the log ends before the position that its reader has reached; it reads from the start again
├── EventNotApplied          a projection failed on an event, which is set aside; its reader stops if there are too many
├── GatewayUnavailable       the payment provider did not do it, as far as we know; try later with the same key
│   └── GatewayNotTried      we did not call the provider: it is away, or too many calls are under way
├── GatewayTimeout           nobody knows whether the provider did it: look the charge up by its key first
├── BrokerRefused            Kafka answers, and refuses what we ask until a person mends something
│   └── TopicUnfit           a topic of Kafka has settings with which events could be lost or out of order
├── SchemaBehind             the database's schema is older than this release needs
└── ConfigurationError       a setting, a folder, a port or the database keeps us from starting
    └── LoginRefused         the database does not let us in, or there is none of this name
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID


class OrderdeckError(Exception):
    """The base class of every error that we raise on purpose."""


@dataclass(frozen=True)
class FieldError:
    """One wrong field: a dotted path such as `items[0].quantity`, and what is wrong with it."""

    field: str
    message: str


class Rejected(OrderdeckError):
    """The domain refused a command; nothing was recorded."""

    code = "rejected"


class InvalidInput(Rejected):
    code = "validation_failed"

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors
        super().__init__(sentence(errors))


NAMED_IN_A_SENTENCE = 3


def sentence(errors: Sequence[FieldError]) -> str:
    """The first wrong fields, and how many more there are. A list that stands beside it names each."""
    named = "; ".join(f"{error.field}: {error.message}" for error in errors[:NAMED_IN_A_SENTENCE])
    more = len(errors) - NAMED_IN_A_SENTENCE
    return f"{named}; and {more} more" if more > 0 else named


class NotAllowed(Rejected):
    code = "not_allowed"


@dataclass
class NotFound(Rejected):
    what: str
    id: str

    code = "not_found"

    def __str__(self) -> str:
        return f"there is no {self.what} {self.id}"


@dataclass
class VersionConflict(OrderdeckError):
    """`actual` is the version that the stream had when the append was refused."""

    stream: UUID
    expected: int
    actual: int

    def __str__(self) -> str:
        return f"stream {self.stream} is at version {self.actual}, not {self.expected}: someone appended first"


@dataclass
class PreconditionFailed(OrderdeckError):
    expected: int
    actual: int

    def __str__(self) -> str:
        return f"the command is for version {self.expected}, the current version is {self.actual}"


@dataclass
class SagaTaken(OrderdeckError):
    """`version` is the version that the saga had when the operator was refused."""

    saga_id: UUID
    version: int

    def __str__(self) -> str:
        return f"a runner is at work on saga {self.saga_id}, now at version {self.version}; try again in a moment"


@dataclass
class KeyReused(OrderdeckError):
    key: str

    def __str__(self) -> str:
        return f"idempotency key {self.key!r} was already used for another command"


@dataclass
class FulfilmentNotFinished(OrderdeckError):
    order_id: UUID

    def __str__(self) -> str:
        return f"order {self.order_id} is still being fulfilled; try again in a moment"


@dataclass
class UnknownEvent(OrderdeckError):
    event_type: str
    schema_version: int
    position: int = field(default=0, compare=False)  # in the log; 0 if nobody said it

    def __str__(self) -> str:
        return f"this release does not know event {self.event_type} in schema {self.schema_version}"


@dataclass
class Unavailable(OrderdeckError):
    reason: str
    retry_after: int = field(default=1)  # seconds
    logged: bool = field(default=False, compare=False)  # it is or will be in the log, once for the whole outage

    def __str__(self) -> str:
        return self.reason


class OutcomeUnknown(Unavailable): ...


class QueueFull(Unavailable): ...


class BacklogFull(Unavailable): ...


class SharesDivided(Unavailable):
    def __init__(self, reader: str, count: int, owner: str) -> None:
        super().__init__(
            f"{owner} has divided the work of {reader} into another number of shares than {count}: "
            "stop it, or give both the same settings"
        )


@dataclass
class DatabaseFault(OrderdeckError):
    """For example a missing column, a missing right or a wrong password. The driver's error is its `__cause__`.

    It holds no statement, value or secret: `name` is the kind of error, `about` names what is missing or forbidden.
    """

    name: str
    sqlstate: str = ""
    about: str = ""

    def __str__(self) -> str:
        code = f" ({self.sqlstate})" if self.sqlstate else ""
        about = f": {self.about}" if self.about else ""
        return f"the database has a fault: {self.name}{code}{about}"


@dataclass
class ValuesRefused(OrderdeckError):
    """A mistake of ours, since values are checked before they are sent. Like `DatabaseFault`, it holds no value."""

    name: str
    sqlstate: str = ""

    def __str__(self) -> str:
        return f"the database refused values: {self.name}" + (f" ({self.sqlstate})" if self.sqlstate else "")


@dataclass
class CheckpointMoved(OrderdeckError):
    reader: str
    position: int

    def __str__(self) -> str:
        return f"{self.reader} is no longer ours at position {self.position}: another process fills it now"


@dataclass
class ShareLost(OrderdeckError):
    reader: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        shares = "share" if len(self.numbers) == 1 else "shares"
        return f"another process has taken {shares} {', '.join(map(str, self.numbers))} of {self.reader}"


@dataclass
class LogShorter(OrderdeckError):
    position: int
    head: int

    def __str__(self) -> str:
        return f"the log ends at {self.head}, and was read up to {self.position}: an older log was put in its place"


@dataclass
class EventNotApplied(OrderdeckError):
    position: int
    event_type: str
    error: str

    def __str__(self) -> str:
        return f"{self.event_type} at position {self.position} cannot be applied: {self.error}"


@dataclass
class GatewayUnavailable(OrderdeckError):
    """`retry_after`: how many seconds the provider asks us to wait, if it said so."""

    reason: str
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.reason


@dataclass
class GatewayTimeout(OrderdeckError):
    reason: str

    def __str__(self) -> str:
        return self.reason


class GatewayNotTried(GatewayUnavailable):
    """No call was made, so it does not count as a try of the step."""


@dataclass
class BrokerRefused(OrderdeckError):
    reason: str

    def __str__(self) -> str:
        return self.reason


class TopicUnfit(BrokerRefused):
    """Its text names the topic, what is wrong with it, and what to do."""


@dataclass
class SchemaBehind(OrderdeckError):
    actual: int
    needed: int

    def __str__(self) -> str:
        return f"schema {self.actual}, needs {self.needed}: run `orderdeck migrate`"


class ConfigurationError(OrderdeckError):
    """Its text is one sentence that tells the operator what to do."""


class LoginRefused(ConfigurationError):
    """A wrong user, password or database; `migrate` may be about to make the user and the database."""


def in_words(error: BaseException) -> str:
    """The text of an error for callers and /ready: without the path that an error of the operating system names."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
