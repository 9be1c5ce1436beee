"""Tells operators by e-mail what needs a person: each alarm once, those of one kind together, with pauses between.

It may be killed at any time. What was told is saved after the mail server has taken the mail, so after a kill between
the two a mail may come twice, and none is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from core.ports.mail_sender import MailResult, MailSender
from core.ports.mailed_alarms import Alarm, AlarmKind, MailedAlarms
from core.services.alarm_text import mail_of

PAUSE = timedelta(minutes=15)
"""Between two mails of one kind."""
FIRST_WAIT, LONGEST_WAIT = 60.0, 900.0  # seconds after a mail that was not sent, until the next try; doubled each time
SEEN_FOR = 60.0  # seconds for which a reader is seen to stand still: after a start it needs a moment to go on

log = structlog.get_logger(__name__)


class AlarmMailer:
    """`where` names this orderdeck in the mails. `sent` is told what came of each try."""

    def __init__(
        self,
        alarms: MailedAlarms,
        sender: MailSender,
        where: str,
        *,
        sent: Callable[[AlarmKind, MailResult], None],
        pause: timedelta = PAUSE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._alarms = alarms
        self._sender = sender
        self._where = where
        self._report = sent
        self._pause = pause
        self._monotonic = monotonic
        self._told: list[Alarm] = []  # the server has taken these; they are not saved yet
        self._still: dict[tuple[str, datetime], float] = {}  # readers that stand still, and when that was first seen
        self._next_try = 0.0
        self._wait = FIRST_WAIT
        self._failing: str | None = None
        self._refused: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why operators are not told what they should be, in words."""
        return self._failing or self._refused

    def rest(self) -> None:
        """Somebody else leads, and tells: forget what was seen here."""
        self._still.clear()
        self._failing = self._refused = None

    async def look(self, epoch: int) -> None:
        """Tell what is to be told now. Raises Unavailable and DatabaseFault."""
        await self._save()
        found = self._steady(await self._alarms.untold(epoch, self._pause))
        if not found:
            self._failing, self._wait = None, FIRST_WAIT
            return
        if self._monotonic() < self._next_try:
            return
        for kind in AlarmKind:
            of_kind = [alarm for alarm in found if alarm.kind is kind]
            if of_kind and not await self._tell(kind, of_kind):
                return

    async def _tell(self, kind: AlarmKind, alarms: Sequence[Alarm]) -> bool:
        minutes = f"{self._pause.total_seconds() / 60:g} minutes"
        result = await self._sender.send(mail_of(kind, alarms, self._where, minutes))
        self._report(kind, result)
        if not result.sent:
            self._failing = f"no e-mail can be sent: {result.why_not}"
            log.warning(
                "an e-mail to operators is not sent", kind=str(kind), reason=result.why_not, again_in=self._wait
            )
            self._next_try = self._monotonic() + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            return False
        self._failing, self._wait = None, FIRST_WAIT
        self._refused = f"an e-mail did not reach everybody: {result.why_not}" if result.why_not else None
        log.info("operators are told by e-mail", kind=str(kind), alarms=len(alarms), refused=result.why_not)
        self._told.extend(alarms)
        await self._save()
        return True

    async def _save(self) -> None:
        if self._told:
            await self._alarms.save(self._told)
            self._told.clear()

    def _steady(self, found: Sequence[Alarm]) -> Sequence[Alarm]:
        """Without the readers that have not been seen to stand still for long enough."""
        now = self._monotonic()
        stopped = [(one.subject, one.since) for one in found if one.kind is AlarmKind.READER_STOPPED]
        self._still = {one: self._still.get(one, now) for one in stopped}
        early = {one for one, seen in self._still.items() if now - seen < SEEN_FOR}
        return [
            one for one in found if one.kind is not AlarmKind.READER_STOPPED or (one.subject, one.since) not in early
        ]
