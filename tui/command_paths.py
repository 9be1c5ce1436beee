"""Which route of the command API a command is sent to, how long that may take, and what a webhook's answer says."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from tui.gateway import CommandAccepted, CommandToSend, ServiceRefused
from tui.http_reply import HttpReply, read_answer
from tui.wire import Count

LONGEST_NAME = 500
TEST_WITHIN = 13.0  # seconds: the service itself waits 10 for what comes of a test
LETTERS_WITHIN = 15.0  # seconds: the service records 200 acts, and waits 3 for what their readers make of them
_TRANSITIONS = ("confirm", "cancel", "ship", "deliver")  # these are PUT, every other command is POST
_OF_ADMINS = ("dead-letter", "webhook")
_MADE = ("place", "add")  # what is sent to the list itself


def route_of(command: CommandToSend) -> tuple[str, str]:
    """The method and the path."""
    path = f"/api/v1/{'admin/' if command.kind in _OF_ADMINS else ''}{command.kind}s"
    if command.subject_id is not None:
        path += f"/{quoted_name(command.subject_id)}"
    if command.verb not in _MADE:
        path += f"/{command.verb}"
    return "PUT" if command.kind == "order" and command.verb in _TRANSITIONS else "POST", path


def patience_for(command: CommandToSend, usual: float) -> float:
    """Seconds within which the answer is there."""
    if command.kind == "dead-letter":
        return LETTERS_WITHIN
    return TEST_WITHIN if command.kind == "webhook" and command.verb == "test" else usual


def quoted_name(text: str) -> str:
    """A name in a path, whatever letters it has."""
    return quote(text[:LONGEST_NAME], safe="", errors="replace")


class _Webhook(Struct):
    id: str = ""
    webhook_id: str = ""
    position: Count | None = None
    url: str = ""
    event_types: tuple[str, ...] = ()
    secret: str = ""
    state: str = ""  # of a test
    status: Count | None = None
    error: str = ""


def webhook_accepted(command: CommandToSend, reply: HttpReply) -> CommandAccepted:
    """What was done with a webhook, in words. Raises ServiceRefused for a test that was not taken."""
    answer = read_answer(reply, _Webhook)
    after = answer.position or 0
    match command.verb:
        case "test":
            said = _of_test(answer)
        case "add":
            said = f"gets {', '.join(answer.event_types) or 'every event'} from now on"
        case "change":
            moved = f"leads to {answer.url}, " if "url" in command.body else ""
            said = f"{moved}gets {', '.join(answer.event_types) or 'every event'}"
        case "rotate":
            said = f"the old secret signs too for {command.body.get('overlap', '')}"
        case "enable":
            said = f"gets what comes after event {after:,}"
        case "disable":
            said = "nothing is sent until s enables it"
        case "replay":
            said = f"gets events after {after:,} again"
        case _:
            said = "forgotten, with all that waited"
    return CommandAccepted(command.subject_id or answer.id, said, 0, None, secret=answer.secret)


def _of_test(answer: _Webhook) -> str:
    if answer.state == "delivered":
        return f"delivered: answered {answer.status}"
    if answer.state == "waiting":
        raise ServiceRefused(200, "not_taken", "not sent in 10 s: 4 shows the notifier")
    raise ServiceRefused(200, "not_taken", f"not taken: {answer.error or answer.state}"[:500])
