"""The text of e-mails about alarms: how many, the first few, and what to type. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC

from core.ports.mail_sender import Mail
from core.ports.mailed_alarms import MOST_TOLD, Alarm, AlarmKind
from core.printable import clean

NAMED = 5  # alarms that a mail names; it counts the others
LONGEST_NAME = 120  # characters

# For one and for several: what the subject says. Then what it means, and what to type; SUBJECT is that of the first.
WORDS: dict[AlarmKind, tuple[str, str, str, tuple[str, ...]]] = {
    AlarmKind.SAGA_FAILED: (
        "saga has failed and needs a person",
        "sagas have failed and need a person",
        "A failed saga keeps its money or stock open until somebody decides.",
        ("orderdeck saga list --state failed", "orderdeck saga show SUBJECT"),
    ),
    AlarmKind.EVENT_PARKED: (
        "event could not be applied and is parked",
        "events could not be applied and are parked",
        "Later events of the same order, SKU or saga wait behind such an event.",
        ("orderdeck deadletters list", "orderdeck deadletters show SUBJECT"),
    ),
    AlarmKind.READER_STOPPED: (
        "reader of the log has stopped",
        "readers of the log have stopped",
        "It has saved nothing for minutes although events wait: what it makes is out of date.",
        ("orderdeck status", "orderdeck doctor"),
    ),
    AlarmKind.WEBHOOK_DISABLED: (
        "webhook is disabled, because its receiver wants no more",
        "webhooks are disabled, because their receivers want no more",
        "The receiver has answered 410. If that is a mistake: enable it, and replay what was recorded meanwhile.",
        ("orderdeck webhooks list", "orderdeck webhooks enable SUBJECT"),
    ),
    AlarmKind.WEBHOOK_GAVE_UP: (
        "webhook has messages that its receiver did not take in three days",
        "webhooks have messages that their receivers did not take in three days",
        "They are dead letters. You are told once until none are left.",
        ("orderdeck webhooks deliveries SUBJECT --state failed", "orderdeck deadletters list"),
    ),
}


def mail_of(kind: AlarmKind, alarms: Sequence[Alarm], where: str, again: str) -> Mail:
    """One mail about alarms of one kind. `where` names this orderdeck, `again` says how long the kind then pauses."""
    one, several, meaning, commands = WORDS[kind]
    count = f"{len(alarms)} or more" if len(alarms) >= MOST_TOLD else str(len(alarms))
    headline = f"{count} {one if len(alarms) == 1 else several}"
    named = [f"  {_name(each)}" for each in alarms[:NAMED]]
    if len(alarms) > NAMED:
        named.append(f"  and {len(alarms) - NAMED} more")
    first = clean(alarms[0].subject, LONGEST_NAME)
    lines = [
        f"{headline}. {meaning}",
        "",
        *named,
        "",
        "Type:",
        "",
        *(f"  {command.replace('SUBJECT', first)}" for command in commands),
        "",
        f"This is told once. The next mail of this kind comes after {again} at the earliest.",
        "",
        f"-- \n{clean(where)}",
    ]
    return Mail(_id_of(alarms), f"orderdeck: {headline}", "\n".join(lines) + "\n")


def _name(alarm: Alarm) -> str:
    since = alarm.since.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{clean(alarm.subject, LONGEST_NAME)}: {clean(alarm.about, LONGEST_NAME)}, since {since}"


def _id_of(alarms: Sequence[Alarm]) -> str:
    """The same for the same alarms, so that a mail that is sent twice is shown once."""
    told = "\n".join(f"{one.kind} {one.subject} {one.since.isoformat()}" for one in alarms)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32]
