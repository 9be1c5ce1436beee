"""`orderdeck webhooks`: has events sent to addresses, and shows what became of them, over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from daemons.cli.output import end_with, fail, print_or_say_why, say, tell
from daemons.cli.services import USAGE, read, say_document, send
from daemons.cli.tables import TableField, say_rows
from daemons.host.bounded_http import readable

webhooks = typer.Typer(no_args_is_help=True, help="Have events sent to addresses, as signed messages.")

PATH = "/api/v1/admin/webhooks"
WebhookId = Annotated[str, typer.Argument(help="The webhook's id, as `webhooks list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
FIELDS = [
    TableField("WEBHOOK", 13),
    TableField("STATE", 8),
    TableField("BEHIND", 7),
    TableField("WAITING", 7),
    TableField("DEAD", 5),
    TableField("DELIVERED", 16),
    TableField("LEADS TO"),
]
DELIVERY_FIELDS = [
    TableField("WHEN", 19),
    TableField("STATE", 9),
    TableField("TRIES", 5),
    TableField("POSITION", 9),
    TableField("TYPE", 26),
    TableField("WEBHOOK-ID", 36),
    TableField("LAST ANSWER"),
]


@webhooks.command()
def add(
    url: Annotated[str, typer.Argument(help="Where events are sent to, such as https://shop.example.com/orders.")],
    *,
    event: Annotated[
        list[str] | None, typer.Option(help="A type of event that it gets, such as OrderShipped; may be repeated.")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Have events sent to an address from now on, and show its secret once: alone on stdout, for `> FILE`."""
    body = {"url": url, "description": description, "event_types": list(event or ())}
    made = _send(PATH, body)
    with readable("the command API"):
        what = ", ".join(made["event_types"]) or "every event"
        said = f"{made['id']} gets {what} from now on; its secret, which is shown only now:"
        if (why := _not_shown(made, said, as_json=as_json)) is not None:
            tell(f"orderdeck: {why}: nobody has seen the secret of the new webhook {made['id']}")
            removed = _send(_path(made["id"], "remove"), None)
            fail(f"so {removed['id']} is removed")


@webhooks.command("list")
def list_webhooks(*, as_json: AsJson = False) -> None:
    """List all webhooks, the oldest first, with how much waits for each."""
    page = read(PATH)
    if as_json:
        say_document(page)
        return
    with readable("the query API"):
        found = page["webhooks"]
        rows = [
            (
                *(str(one["id"]), "enabled" if one["enabled"] else "disabled"),
                *(str(one[name]) for name in ("behind", "waiting", "failed")),
                str(one["delivered_at"] or "never")[:16].replace("T", " "),
                str(one["url"]),
            )
            for one in found
        ]
        say_rows(FIELDS, rows, rows)
        if not found:
            tell("there are no webhooks; orderdeck webhooks add makes one")
        for one in found:
            if one["disabled_why"] or one["last_error"]:
                tell(f"{one['id']}: {one['disabled_why'] or one['last_error']}")


@webhooks.command()
def change(
    webhook_id: WebhookId,
    *,
    url: Annotated[str | None, typer.Option(help="Where events are sent to from now on, and what waits too.")] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(help="A type of event that it gets from now on; repeat it for each of them."),
    ] = None,
    every_event: Annotated[bool, typer.Option("--every-event", help="It gets events of every type.")] = False,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have it lead elsewhere, or get other types of events. Its secret and its position stay."""
    if event and every_event:
        end_with(USAGE, "--event and --every-event are not given together")
    types = [] if every_event else event or None
    asked = {"url": url, "event_types": types, "description": description}
    body = {name: value for name, value in asked.items() if value is not None}
    if not body:
        end_with(USAGE, "say what to change: --url, --event, --every-event or --description")
    webhook = _send(_path(webhook_id, "change"), body)
    with readable("the command API"):
        if as_json:
            say_document(webhook)
        else:
            what = ", ".join(webhook["event_types"]) or "every event"
            say(f"{webhook['id']} leads to {webhook['url']}, and after position {webhook['position']} gets {what}")


@webhooks.command()
def rotate(
    webhook_id: WebhookId,
    *,
    overlap: Annotated[str, typer.Option(help="For how long messages are signed with the old secret too.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """Make a new secret, and show it once."""
    made = _send(_path(webhook_id, "rotate"), {"overlap": overlap})
    with readable("the command API"):
        said = f"the new secret of {made['id']}; messages are signed with the old one too for {overlap}:"
        if (why := _not_shown(made, said, as_json=as_json)) is not None:
            again = f"`orderdeck webhooks rotate {made['id']}` makes another one"
            fail(f"{why}: nobody has seen the new secret, and messages are signed with it: {again}")


@webhooks.command()
def disable(
    webhook_id: WebhookId, *, reason: Annotated[str, typer.Option(help="Why.")], as_json: AsJson = False
) -> None:
    """Send nothing to it until it is enabled."""
    _act(webhook_id, "disable", {"reason": reason}, "{id} is disabled", as_json=as_json)


@webhooks.command()
def enable(webhook_id: WebhookId, *, as_json: AsJson = False) -> None:
    """Send what is recorded from now on. `webhooks replay` sends what was recorded meanwhile."""
    _act(webhook_id, "enable", None, "{id} gets what is recorded after position {position}", as_json=as_json)


@webhooks.command()
def remove(webhook_id: WebhookId, *, as_json: AsJson = False) -> None:
    """Forget it, with its secret and all that waits for it."""
    _act(webhook_id, "remove", None, "{id}, which led to {url}, is removed", as_json=as_json)


@webhooks.command()
def replay(
    webhook_id: WebhookId,
    *,
    after: Annotated[int, typer.Option(min=0, help="The position after which it begins; 0: with the first event.")],
    as_json: AsJson = False,
) -> None:
    """Send the events after a position again, each under the webhook-id of its first message."""
    _act(
        webhook_id, "replay", {"after": after}, "{id} gets the events after position {position} again", as_json=as_json
    )


@webhooks.command("test")
def send_test(webhook_id: WebhookId, *, as_json: AsJson = False) -> None:
    """Send it a message of type webhook.test, and say what came of it. Exit code 1 if it was not taken."""
    delivery = _send(_path(webhook_id, "test"), None)
    with readable("the command API"):
        if as_json:
            say_document(delivery)
        else:
            said = {
                "delivered": f"delivered: answered {delivery['status']}",
                "waiting": "not sent within 10 seconds: does the notifier run? `orderdeck status`",
            }
            say(said.get(str(delivery["state"]), f"not taken: {delivery['error']}"))
        taken = delivery["state"] == "delivered"
    raise typer.Exit(0 if taken else 1)


@webhooks.command()
def deliveries(
    webhook_id: WebhookId,
    *,
    state: Annotated[str, typer.Option(help="Only those: waiting, delivered, failed or skipped.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List its messages, the newest first. `orderdeck deadletters` retries and skips those that failed."""
    if state not in ("", "waiting", "delivered", "failed", "skipped"):
        end_with(USAGE, "--state must be waiting, delivered, failed or skipped")
    wanted = {"limit": str(limit)} | ({"state": state} if state else {})
    page = read(_path(webhook_id, "deliveries"), wanted)
    if as_json:
        say_document(page)
        return
    with readable("the query API"):
        rows = [
            (
                *(
                    str(one["tried_at"] or one["created_at"])[:19].replace("T", " "),
                    str(one["state"]),
                    str(one["tries"]),
                ),
                *(str(one["position"] or ""), str(one["message_type"]), str(one["message_id"])),
                str(one["error"] or one["status"] or ""),
            )
            for one in page["deliveries"]
        ]
        say_rows(DELIVERY_FIELDS, rows, rows)
        if not rows:
            tell(f"there are no messages{f' that are {state}' if state else ''}")


def _path(webhook_id: str, act: str) -> str:
    return f"{PATH}/{quote(webhook_id, safe='')}/{act}"


def _send(path: str, body: Mapping[str, Any] | None) -> Any:
    return send("POST", path, body, key=str(uuid.uuid4()), dry_run=False)


def _act(webhook_id: str, act: str, body: Mapping[str, Any] | None, said: str, *, as_json: bool) -> None:
    webhook = _send(_path(webhook_id, act), body)
    with readable("the command API"):
        if as_json:
            say_document(webhook)
        else:
            say(said.format(**webhook))


def _not_shown(made: Mapping[str, Any], said: str, *, as_json: bool) -> str | None:
    """Show a new secret. Returns why that was not possible, if it was not."""
    if as_json:
        return print_or_say_why(lambda: say_document(made))
    tell(said)
    return print_or_say_why(lambda: say(str(made["secret"])))
