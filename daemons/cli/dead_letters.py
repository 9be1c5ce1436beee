"""`orderdeck deadletters`: events that a reader could not apply, and what an operator does about them, over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Any
from urllib.parse import quote

import typer

from core.terminal_text import counted
from daemons.cli.output import end_with, say, tell
from daemons.cli.services import USAGE, read, say_document, send
from daemons.host.bounded_http import readable

deadletters = typer.Typer(no_args_is_help=True, help="See events that a reader could not apply; retry or skip them.")

PATH = "/api/v1/admin/dead-letters"
MOST = 200  # of one list
EACH = 20  # of one cause, in a list of all causes
Id = Annotated[str, typer.Argument(help="Its id, as `deadletters list` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; kept with your name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would come to; change nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Reader = Annotated[str, typer.Option(help="Those of one reader, such as projector.orders.")]
Cursor = Annotated[str, typer.Option(help="The next ones of one cause, as `deadletters list` says.")]
Fingerprint = Annotated[str, typer.Option(help="Those of one cause, as `deadletters list` groups them.")]


@deadletters.command("list")
def list_letters(
    *, reader: Reader = "", fingerprint: Fingerprint = "", cursor: Cursor = "", as_json: AsJson = False
) -> None:
    """List them by cause: how many there are, and the oldest with their tries and what waits behind them."""
    wanted = {"reader": reader, "fingerprint": fingerprint, "cursor": cursor, "limit": str(MOST)}
    wanted |= {} if fingerprint else {"each": str(EACH)}
    page = read(PATH, {name: value for name, value in wanted.items() if value})
    if as_json:
        say_document(page)
        return
    with readable("the query API"):
        listed: dict[str, list[dict[str, Any]]] = {}
        for letter in page["dead_letters"]:
            listed.setdefault(str(letter["fingerprint"]), []).append(letter)
        for cause in page["causes"]:
            name, letters = cause["fingerprint"], listed.get(cause["fingerprint"], [])
            if reader not in ("", cause["reader"]) or fingerprint not in ("", name):
                continue
            say(f"{name}  {cause['letters']} × {' '.join(cause['event_types'])} in {cause['reader']}: {cause['error']}")
            for letter in letters:
                say(_line(letter))
            if not fingerprint and cause["letters"] > len(letters):
                tell(f"{cause['letters'] - len(letters):,} more: deadletters list --fingerprint {name}")
        if not page["total"]:
            say("every event was applied")
        if fingerprint and page["next_cursor"]:
            tell(f"more: --cursor {page['next_cursor']}")


@deadletters.command()
def show(letter_id: Id, *, as_json: AsJson = False) -> None:
    """Show one, with its event as the log has it."""
    one = read(f"{PATH}/{quote(letter_id, safe='')}")
    if as_json:
        say_document(one)
        return
    with readable("the query API"):
        letter = one["dead_letter"]
        say(_line(letter))
        say(f"    reader {letter['reader']}, fingerprint {letter['fingerprint']}, row {letter['row']}")
        say(f"    since {letter['first_failed_at'][:19]}, last tried {letter['last_failed_at'][:19]}")
        say(f"    {letter['error']}")
        if one["event"]:
            say_document(one["event"]["payload"])


@deadletters.command()
def retry(
    letter_id: Annotated[str, typer.Argument(help="Its id; without one, --fingerprint, --reader or --all.")] = "",
    *,
    reason: Reason,
    reader: Reader = "",
    fingerprint: Fingerprint = "",
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Have the reader try events again, and all that waits behind them. Exit code 1 if one still cannot be applied."""
    if bool(letter_id) + bool(reader or fingerprint) + everything != 1:
        end_with(USAGE, "name one by its id, or say --fingerprint, --reader or --all")
    body = {"reason": reason} | ({"reader": reader} if reader else {})
    body |= {"fingerprint": fingerprint} if fingerprint else {}
    path = f"{PATH}/{quote(letter_id, safe='')}/retry" if letter_id else f"{PATH}/retry"
    _act(path, body, dry_run=dry_run, as_json=as_json)


@deadletters.command()
def skip(letter_id: Id, *, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Have the reader leave the event out for ever, and apply all that waits behind it."""
    _act(f"{PATH}/{quote(letter_id, safe='')}/skip", {"reason": reason}, dry_run=dry_run, as_json=as_json)


def _act(path: str, body: dict[str, str], *, dry_run: bool, as_json: bool) -> None:
    """Send it until all that fitted at first were tried: the command API takes so many at once as are answered soon.

    An answer with none that was not tried before ends it: there are no others any more, or the service goes in circles.

    Whatever ends it before, the results so far are printed.
    """
    said = send("POST", path, body, key=str(uuid.uuid4()), dry_run=dry_run)
    with readable("the command API"):
        if dry_run:
            if as_json:
                say_document(said)
            else:
                _say_trials(said)
            raise typer.Exit
        more, left = said, said.get("fitting", 0)  # an API of the release before does not say how many there are
        if not (as_json or more["results"]):
            say("there was nothing to do")
        tried: set[str] = set()
        try:
            while not tried.issuperset(ids := [result["id"] for result in more["results"]]):
                tried.update(ids)
                if not as_json:
                    _say_results(more["results"])
                left -= len(more["results"])
                if left <= 0:
                    break
                tell(f"{left:,} to go")
                more = send("POST", path, body, key=str(uuid.uuid4()), dry_run=False)
                said |= {name: said[name] + more[name] for name in ("results", "done", "failing", "waiting")}
            else:
                if more["results"]:
                    tell(f"the last {counted(len(ids), 'result')} came again: no others are left, or none are answered")
        finally:
            if as_json:
                say_document(said)
        failing = said["failing"]
    raise typer.Exit(1 if failing else 0)


def _say_trials(said: dict[str, Any]) -> None:
    for trial in said.get("trials", ()):
        then = f", and then fails: {trial['error']}" if trial["error"] else ", and nothing waits any more"
        say(f"{trial['id']}  would apply {counted(trial['applied'], 'event')}{then}")
    say(f"would record {counted(len(said['events']), 'event')}, and has recorded none")


def _say_results(results: list[dict[str, Any]]) -> None:
    for result in results:
        say(f"{result['id']}  {result['event_type']} at position {result['position']}: {_outcome(result)}")


def _outcome(result: dict[str, Any]) -> str:
    if result["state"] == "waits":
        return "asked for; its reader does it when it runs"
    return "done" if result["state"] == "done" else f"still fails: {result['error']}"


def _line(letter: dict[str, Any]) -> str:
    behind = f"{letter['waiting']} wait behind it" if letter["waiting"] else "nothing waits behind it"
    where = f"position {letter['position']}, {letter['category']} {letter['stream']} version {letter['version']}"
    saga = f", saga {letter['row']}" if letter["reader"] == "saga-runner" else ""
    tries = "1 try" if letter["tries"] == 1 else f"{letter['tries']} tries"
    return f"  {letter['id']}  {letter['event_type']}  {where}{saga}\n      {tries}, {behind}"
