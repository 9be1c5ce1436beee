"""`orderdeck saga`: shows an operator the sagas and sends the operator's decisions about them, over HTTP."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

import json
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from core.settings import load_settings
from daemons.cli.orders import Schema
from daemons.cli.output import end_with, fail, say, say_json
from daemons.cli.past import AsOf, as_of
from daemons.cli.services import NOTHING, USAGE, actor, must_be_text, why
from daemons.host.bounded_http import ServiceAnswer, ask_or_say_why, readable, shown

saga = typer.Typer(no_args_is_help=True, help="See sagas, and steer those that cannot go on by themselves.")

Id = Annotated[str, typer.Argument(help="The saga's id, as `saga list` shows it.")]
WITHIN = 15.0  # seconds for an answer
TICKET = 120  # cells: the width of a picture for a file or a pipe
Reason = Annotated[str, typer.Option(help="Why; kept with your name.")]


@saga.command("list")
def list_sagas(
    *,
    state: Annotated[str, typer.Option(help="running, waiting, retrying, overdue, failed or expiring.")] = "",
    status: Annotated[str, typer.Option(help="RUNNING, COMPENSATING, COMPLETED, COMPENSATED, FAILED, RESOLVED.")] = "",
    order_id: Annotated[str, typer.Option(help="Those of one order.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List sagas, newest first: tries so far, next attempt, last error, and what is still open."""
    filters = {"state": state, "status": status, "order_id": order_id}
    page = _read("/api/v1/sagas", {name: value for name, value in filters.items() if value} | {"limit": str(limit)})
    if as_json:
        say_json(json.dumps(page, indent=2))
        return
    with readable("the query API"):
        for row in page["sagas"][:limit]:
            say(_line(row))
        if not page["sagas"]:
            say("no such sagas")
        elif page["next_cursor"]:
            say(f"… and more: --limit {min(100, 2 * limit)}, or GET /api/v1/sagas?cursor=…")


@saga.command()
def show(
    saga_id: Id,
    *,
    picture: Annotated[bool, typer.Option("--picture", help="Draw its steps beside their undos over time.")] = False,
    svg: Annotated[Path | None, typer.Option(help="Write this picture into a file.", dir_okay=False)] = None,
    moment: AsOf = None,
    schema: Schema = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show one saga: its steps, its events, and what is still open."""
    row = _read(f"/api/v1/sagas/{quote(saga_id, safe='')}", {"schema": schema} | as_of(moment))
    if picture or svg is not None:
        _draw(row, svg, on_stdout=picture)
        return
    if as_json:
        say_json(json.dumps(row, indent=2))
        return
    with readable("the query API"):
        say(_line(row))
        for step, status in row["steps"].items():
            say(f"    {step:<20} {status}")
        for event in row["events"]:
            payload = event["payload"]
            details = "  ".join(str(payload[name]) for name in ("step", "error", "reason", "by") if payload.get(name))
            say(f"    {event['timestamp'][:23]}  {event['event_type']:<26} {details}")


@saga.command()
def retry(saga_id: Id, reason: Reason) -> None:
    """Begin the step again at which a failed saga stands."""
    _act(saga_id, "retry", reason)


@saga.command()
def skip(saga_id: Id, reason: Reason) -> None:
    """Leave the undo at which a failed saga stands as it is, and go on with the rest."""
    _act(saga_id, "skip-step", reason)


@saga.command()
def compensate(saga_id: Id, reason: Reason) -> None:
    """Turn an unfinished fulfilment round, or refund a settled order."""
    _act(saga_id, "compensate", reason)


@saga.command()
def resolve(saga_id: Id, reason: Reason) -> None:
    """End a failed saga: what was open was settled elsewhere."""
    _act(saga_id, "resolve", reason)


def _draw(row: dict[str, Any], svg: Path | None, *, on_stdout: bool) -> None:
    """Draw the saga on stdout, and into the file `svg` if there is one."""
    import msgspec

    from core.folders import write_private
    from core.pictures.export import svg_of, text_of
    from core.pictures.picture import picture_of
    from core.pictures.shapes import PicturedSaga

    with readable("the query API"):
        drawn, now = msgspec.convert(row, PicturedSaga), datetime.now(UTC)
    if on_stdout:
        say(text_of(picture_of(drawn, now, shutil.get_terminal_size(fallback=(TICKET, 24)).columns)))
    if svg is not None:
        try:
            write_private(svg, svg_of(picture_of(drawn, now, TICKET)))
        except OSError as error:
            fail(f"{svg} cannot be written: {error.strerror}")
        say(f"the picture of saga {drawn.saga_id} is in {svg}")


def _act(saga_id: str, operation: str, reason: str) -> None:
    from daemons.host.status import must_answer

    must_be_text(reason)
    settings = load_settings()
    must_answer(settings.commands_at, "ORDERDECK_COMMAND_URL")
    headers = {"Orderdeck-Actor": actor(), "Idempotency-Key": str(uuid.uuid4())}
    url = f"{settings.commands_at}/api/v1/sagas/{quote(saga_id, safe='')}/{operation}"
    headers |= shown(settings.shows(url))
    answer = ask_or_say_why(url, within=WITHIN, method="POST", headers=headers, body={"reason": reason})
    with readable(url):
        row = _answer(answer)
        at = f" at {row['step']}" if row["step"] else ""
        say(f"saga {row['saga_id']} is {row['status']}{at}")


def _read(path: str, parameters: dict[str, str]) -> dict[str, Any]:
    from daemons.host.status import must_answer

    must_be_text(parameters)
    settings = load_settings()
    must_answer(settings.queries_at, "ORDERDECK_QUERY_URL")
    url = settings.queries_at + path
    answer = ask_or_say_why(url, within=WITHIN, parameters=parameters, headers=shown(settings.shows(url)))
    with readable(url):
        if answer.status in (400, 404):
            end_with(USAGE if answer.status == 400 else NOTHING, why(answer))
        return _answer(answer)


def _answer(answer: ServiceAnswer) -> dict[str, Any]:
    if answer.status >= 400:
        fail(why(answer))
    return answer.json()


def _line(row: dict[str, Any]) -> str:
    """One saga as lines of text: its step and status, and below them its order, its last error and its open items."""
    at = f" at {row['step']}" if row["step"] else ""
    lines = [f"{row['saga_id']}  {row['name']:<13} {row['status']}{at}  ({row['state'] or 'ended'})"]
    lines.append(f"    order {row['order_id']}, since {row['started_at'][:19]}")
    if row["last_error"]:
        then = f", again at {row['next_attempt_at'][:19]}" if row["next_attempt_at"] else ""
        tries = f"{row['attempts']} failed {'try' if row['attempts'] == 1 else 'tries'}" if row["attempts"] else "last"
        lines.append(f"    {tries}: {row['last_error']}{then}")
    lines += [f"    open: {item}" for item in row["open"]["items"]]
    return "\n".join(lines)
