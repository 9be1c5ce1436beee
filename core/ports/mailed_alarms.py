"""Alarms that are told by e-mail: what needs a person, and what of it operators have been told already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

MOST_TOLD = 10_000  # alarms of one kind that one mail counts; the next mail has those that come after them


class AlarmKind(StrEnum):
    SAGA_FAILED = "saga_failed"
    EVENT_PARKED = "event_parked"
    READER_STOPPED = "reader_stopped"
    WEBHOOK_DISABLED = "webhook_disabled"
    WEBHOOK_GAVE_UP = "webhook_gave_up"


class Alarm(NamedTuple):
    """`subject` is the id or name of what needs a person since then, and `about` says in a few words what it is."""

    kind: AlarmKind
    subject: str
    about: str
    since: datetime


class MailedAlarms(Protocol):
    """For the notifier that leads. The methods raise Unavailable and DatabaseFault."""

    async def untold(self, epoch: int, pause: timedelta) -> Sequence[Alarm]:
        """What nobody was told of, oldest first; nothing of a kind of which a mail was sent within the pause.

        Nothing at all when somebody else leads. Alarms that are over are noted as such.
        """
        ...

    async def save(self, told: Sequence[Alarm]) -> None:
        """Remember that operators were told of these."""
        ...
