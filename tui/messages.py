"""Messages: what a view asks of the deck around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.message import Message
from textual.worker import Worker

from tui.gateway import CommandToSend
from tui.viewmodels.statuses import Transition
from tui.wire import WireEvent, WireOrder


class OpenView(Message):
    """Put the view of that name in the registry on the screen, for the thing with the id `subject` if one is given."""

    def __init__(self, name: str, subject: str | None = None) -> None:
        self.name = name
        self.subject = subject
        super().__init__()


class OpenNow(Message):
    """Return from an earlier moment to now, and put this view on the screen there."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__()


class OpenEvent(Message):
    def __init__(self, event: WireEvent) -> None:
        self.event = event
        super().__init__()


class Act(Message):
    """Do this to that order once the operator has confirmed it; without a transition, ask first which one."""

    def __init__(self, order: WireOrder, transition: Transition | None = None) -> None:
        self.order = order
        self.transition = transition
        super().__init__()


class Send(Message):
    """Send this command, which the operator has confirmed; `named` is what the operator calls its order or saga."""

    def __init__(self, command: CommandToSend, named: str) -> None:
        self.command = command
        self.named = named
        super().__init__()


class NewOrder(Message):
    pass


class Say(Message):
    """One sentence for the operator; it goes after a while, or when it `holds` no longer."""

    def __init__(self, sentence: str, tone: str = "warn", holds: Callable[[], bool] | None = None) -> None:
        self.sentence = sentence
        self.tone = tone
        self.holds = holds
        super().__init__()


class Copy(Message):
    """Put a text on the operator's clipboard; `name` is what the operator is told was copied."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        super().__init__()


class Missed(Message):
    """What the last key asked for is not there, as the sentence says: what was typed ahead for it must not act."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__()


class Awaited(Message):
    """The next key waits until this worker has ended, because it is meant for what the worker fetches."""

    def __init__(self, worker: Worker[Any]) -> None:
        self.worker = worker
        super().__init__()
