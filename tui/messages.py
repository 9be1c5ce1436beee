"""What views ask of the deck around them."""

from __future__ import annotations

from textual.message import Message

from tui.viewmodels.statuses import Transition
from tui.wire import WireEvent, WireOrder


class OpenOrder(Message):
    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        super().__init__()


class OpenEvent(Message):
    def __init__(self, event: WireEvent) -> None:
        self.event = event
        super().__init__()


class Act(Message):
    """Do this to that order, after asking; without a transition, ask which."""

    def __init__(self, order: WireOrder, transition: Transition | None = None) -> None:
        self.order = order
        self.transition = transition
        super().__init__()


class NewOrder(Message):
    pass


class Say(Message):
    """One sentence for the operator."""

    def __init__(self, sentence: str, tone: str = "warn") -> None:
        self.sentence = sentence
        self.tone = tone
        super().__init__()


class Copy(Message):
    """Put a text on the operator's clipboard, and say so by this name."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        super().__init__()


class ChooseTypes(Message):
    pass
