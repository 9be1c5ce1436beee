"""The error tree: every expected failure has its own class, and says itself in one sentence.

OrderdeckError
├── Rejected                 the domain said no; nothing was recorded
│   ├── InvalidInput         some fields are wrong (names each)
│   ├── NotAllowed           not in this status
│   └── NotFound             there is no such order, saga, SKU
├── VersionConflict          someone appended first
├── PreconditionFailed       the command was meant for another version of its stream
├── SagaTaken                a runner works on the saga an operator wants to steer
├── KeyReused                an idempotency key came back with another command
├── FulfilmentNotFinished    ship came while the order's saga still works on it
├── UnknownEvent             the stream holds an event this release does not know
├── Unavailable              the database is away or busy, or the queue is full: the same will work later
│   ├── OutcomeUnknown       sent, and whether it was recorded could not be settled in time
│   └── QueueFull            too many appends wait; nothing of this one was accepted
├── DatabaseFault            the database cannot do it, now or later, until a person mends something
├── ValuesRefused            the database cannot take these values; other values it can
├── CheckpointMoved          another projector has saved since; ours rolls back
├── EventNotApplied          a projection failed on an event; its reader stands still there, and says so
├── GatewayUnavailable       the payment provider did not do it, as far as anyone can tell; later, with the same key
│   └── GatewayNotTried      it was not even called: it is away for everybody, or too many calls are under way
├── GatewayTimeout           nobody knows whether the provider did it: look the charge up by its key first
├── SchemaBehind             the database's schema is not the one this release needs
└── ConfigurationError       a setting, a folder or a port stops us from starting
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID


class OrderdeckError(Exception):
    """Base of everything raised on purpose."""


@dataclass(frozen=True)
class FieldError:
    """One wrong field: a dotted path such as `items[0].quantity`, and what is wrong with it."""

    field: str
    message: str


class Rejected(OrderdeckError):
    """The domain said no; nothing was recorded."""

    code = "rejected"


class InvalidInput(Rejected):
    code = "validation_failed"

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{e.field}: {e.message}" for e in errors))


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
    """`actual` is the stream's version at the time of the refusal."""

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
    """`version` is the saga's at the time of the refusal."""

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

    def __str__(self) -> str:
        return f"this release does not know event {self.event_type} in schema {self.schema_version}"


@dataclass
class Unavailable(OrderdeckError):
    reason: str
    retry_after: int = field(default=1)  # seconds

    def __str__(self) -> str:
        return self.reason


class OutcomeUnknown(Unavailable):
    pass


class QueueFull(Unavailable):
    pass


@dataclass
class DatabaseFault(OrderdeckError):
    """A column that is missing, a right that was not granted, a wrong password. The driver's error is its `__cause__`.

    It holds no statement, no value and no secret: `name` is the kind of error, and `about` names what is missing or
    forbidden.
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
    """A mistake of ours: values are checked before they are sent. As `DatabaseFault`, it does not say which."""

    name: str
    sqlstate: str = ""

    def __str__(self) -> str:
        return f"the database refused values: {self.name}" + (f" ({self.sqlstate})" if self.sqlstate else "")


@dataclass
class CheckpointMoved(OrderdeckError):
    reader: str
    position: int

    def __str__(self) -> str:
        return f"{self.reader} is no longer at position {self.position}: another one has saved since"


@dataclass
class EventNotApplied(OrderdeckError):
    position: int
    event_type: str
    error: str

    def __str__(self) -> str:
        return f"{self.event_type} at position {self.position} cannot be applied: {self.error}"


@dataclass
class GatewayUnavailable(OrderdeckError):
    """`retry_after` in seconds, when the provider named it."""

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
    """No call was made, so this is not a try."""


@dataclass
class SchemaBehind(OrderdeckError):
    actual: int
    needed: int

    def __str__(self) -> str:
        return f"schema {self.actual}, needs {self.needed}: run `orderdeck migrate`"


class ConfigurationError(OrderdeckError):
    """Its text is one sentence that says what to do."""
