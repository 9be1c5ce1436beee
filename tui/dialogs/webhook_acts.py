"""What an admin may do with a webhook: the keys for it, the question before it, and the command that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from textual.dom import DOMNode

from core.printable import clean
from tui.action_table import Action, ActionTable, Danger
from tui.desk import Desk
from tui.dialogs.ask import Ask, Field
from tui.dialogs.dialog import open_dialog
from tui.gateway import CommandToSend
from tui.messages import Say, Send
from tui.viewmodels.webhook_rows import address
from tui.viewmodels.webhooks import WireWebhook

KIND = "webhook"
ACTS = ActionTable(
    "webhook-acts",
    "Looking after a webhook",
    (
        Action("t", "test", "test", "t", bar=True, danger=Danger.ASKS),
        Action("E", "change", "change…", "E", bar=True, danger=Danger.ASKS),
        Action("s", "enable", "enable", "s", danger=Danger.ASKS),
        Action("K", "disable", "disable…", "K", bar=True, danger=Danger.TYPED),
        Action("R", "rotate", "new secret…", "R", danger=Danger.TYPED),
        Action("P", "replay", "send again…", "P", danger=Danger.TYPED),
        Action("X", "remove", "remove…", "X", danger=Danger.TYPED),
    ),
)
_REMOVE = "remove"
_TERMS = (
    Field("url", "Leads to, as in https://shop.example.com/orders"),
    Field("event_types", "Types of events, with blanks between; none: every event", needed=False),
    Field("description", "What it is for", needed=False),
)
_LONGEST_NAMED = 44  # letters of an address for which a question has room


def _nothing(_: Mapping[str, str]) -> Mapping[str, Any]:
    return {}


def _no_fault(_: Mapping[str, str]) -> str | None:
    return None


class _Act(NamedTuple):
    """`told` is what the act does; `body` makes what is sent of the fields, and `wrong` says why it cannot be."""

    title: str
    told: Sequence[str]
    fields: Sequence[Field] = ()
    body: Callable[[Mapping[str, str]], Mapping[str, Any]] = _nothing
    wrong: Callable[[Mapping[str, str]], str | None] = _no_fault


def _position(fields: Mapping[str, str]) -> str | None:
    text = fields.get("after", "").strip()
    fits = text.isascii() and text.isdigit() and len(text) < 19
    return None if fits else "must be a position of the log; 0 is before the first event"


def _after(fields: Mapping[str, str]) -> Mapping[str, Any]:
    return {"after": int(fields["after"])}


def _removes(fields: Mapping[str, str]) -> str | None:
    return None if fields.get("word", "").strip() == _REMOVE else f"type {_REMOVE}, or leave it with esc"


def _terms(fields: Mapping[str, str]) -> Mapping[str, Any]:
    types = fields["event_types"].replace(",", " ").split()
    return {"url": fields["url"], "event_types": types, "description": fields["description"]}


_ACTS: Mapping[str, _Act] = {
    "test": _Act(
        "Send a test to",
        ("A message of type webhook.test is sent once.", "What came of it is known within 10 seconds."),
    ),
    "enable": _Act(
        "Enable", ("It gets what is recorded from now on, and what waited.", "P has sent what was recorded meanwhile.")
    ),
    "disable": _Act(
        "Disable",
        ("Nothing is sent to it until it is enabled.", "What is recorded meanwhile is sent by P only."),
        (Field("reason", "Reason"),),
        body=dict,
    ),
    "rotate": _Act(
        "Make a new secret for",
        ("It is shown once. This cannot be taken back.", "For a while messages are signed with the old one too."),
        (Field("overlap", "For how long, as in 24h or 90m", "24h"),),
        body=dict,
    ),
    "replay": _Act(
        "Send events again to",
        ("Those after a position, each under the id of its first message.", "This cannot be taken back."),
        (Field("after", "After which position; 0: from the first event on"),),
        body=_after,
        wrong=_position,
    ),
    "remove": _Act(
        "Remove",
        (
            "It is forgotten, with its secret, and all that waits for it.",
            "This cannot be taken back.",
        ),
        (Field("word", f"Type {_REMOVE}"),),
        wrong=_removes,
    ),
}
ACTIONS = frozenset((*_ACTS, "change"))


def why_not_act(desk: Desk, action: str, hook: WireWebhook | None) -> str | None:
    """The reason that an act does nothing now; the service knows better."""
    if action not in ACTIONS:
        return None
    if hook is None:
        return "no webhook is chosen"
    if action == "enable" and hook.enabled:
        return "it is enabled"
    if action == "disable" and not hook.enabled:
        return "it is disabled"
    return desk.why_no_writes(hook.id)


def ask_act(node: DOMNode, desk: Desk, hook: WireWebhook, verb: str) -> None:
    """Send it once the operator has confirmed it."""
    act, kept = _ACTS[verb], desk.unsent(verb, hook.id)
    for field in act.fields:
        kept.setdefault(field.name, field.value)
    if verb == "remove":
        kept.clear()  # it is typed anew each time
    dialog = Ask(
        f"{act.title} {clean(hook.url, _LONGEST_NAMED)}?",
        act.told,
        act.fields,
        kept,
        why_not=lambda: desk.why_no_writes(hook.id) or act.wrong(kept),
    )
    _open(node, dialog, lambda texts: CommandToSend(verb, hook.id, act.body(texts), kind=KIND), address(hook))


def ask_change(node: DOMNode, desk: Desk, hook: WireWebhook) -> None:
    """Change what the operator writes anew; what stands there as before is not sent."""
    shown = {
        "url": address(hook),
        "event_types": " ".join(clean(name, 60) for name in hook.event_types),
        "description": clean(hook.description, 200),
    }
    kept = desk.unsent("change", hook.id)
    if kept.get("shown") != repr(shown):  # it was changed since this was typed
        kept.clear()
        kept.update(shown, shown=repr(shown))

    def changes(texts: Mapping[str, str]) -> Mapping[str, Any]:
        return {name: value for name, value in _terms(texts).items() if texts[name].strip() != shown[name].strip()}

    dialog = Ask(
        f"Change {clean(hook.url, _LONGEST_NAMED)}?",
        ("What waits goes to a new address at once. What waits of types", "that it gets no more is forgotten."),
        _TERMS,
        kept,
        why_not=lambda: desk.why_no_writes(hook.id) or (None if changes(kept) else "nothing is changed yet"),
    )
    _open(node, dialog, lambda texts: CommandToSend("change", hook.id, changes(texts), kind=KIND), address(hook))


def ask_add(node: DOMNode, desk: Desk) -> None:
    """Add a webhook; what was typed stays until the service has taken it."""
    kept: MutableMapping[str, str] = desk.unsent("add", "")
    told = ("Events that are recorded from now on are sent there, signed.", "Its secret is then shown once.")
    dialog = Ask("Add a webhook", told, _TERMS, kept, why_not=desk.why_no_writes)
    _open(node, dialog, lambda texts: CommandToSend("add", None, _terms(texts), kind=KIND))


def _open(node: DOMNode, dialog: Ask, made: Callable[[Mapping[str, str]], CommandToSend], named: str = "") -> None:
    """Send the command that is made of the texts; a webhook that has no name yet is called by its address."""

    def answered(texts: Mapping[str, str] | None) -> None:
        node.post_message(Say("nothing was sent", "dim") if texts is None else Send(made(texts), named or texts["url"]))

    open_dialog(node, dialog, answered)
