"""`orderdeck events`, `sagas` and `daemons`: what the deck's other views show, for a terminal or a program."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from core.terminal_text import counted
from daemons.cli import found_events
from daemons.cli.orders import AsJson, Schema, no_options
from daemons.cli.output import end_with, say_json, tell
from daemons.cli.past import AsOf, as_of
from daemons.cli.payloads import details
from daemons.cli.services import NOTHING, USAGE, go_on_reading, order_id_of, read, say_document
from daemons.cli.tables import TableField, say_rows
from daemons.host.bounded_http import readable

API = "the query API"
EVENT_WORDS = ("type", "category", "order", "stream", "after", "at", *found_events.WORDS)
SAGA_WORDS = ("state", "status", "order", "saga")
NEWEST = str(2**63 - 1)  # a position beyond every event
PAUSE = 0.5  # seconds between two looks at the log
MANY = 1_000
MOST_EMPTY = 100  # pages without a saga, of the past, before it is said that none matches

EVENT_FIELDS = (
    TableField("POSITION", 10, right=True),
    TableField("TIME UTC", 12),
    TableField("TYPE", 26),
    TableField("DETAILS"),
)
SAGA_FIELDS = (
    TableField("SAGA", 36),
    TableField("ORDER", 14),
    TableField("STATE", 12),
    TableField("OPEN"),
)
DAEMON_FIELDS = (
    TableField("DAEMON", 16),
    TableField("READY", 5),
    TableField("PID", 8, right=True),
    TableField("UPTIME", 9, right=True),
    TableField("LAG", 16, right=True),
    TableField("HOLDS, WHY NOT"),
)
PLAIN_EVENT = ("position", "timestamp", "event_type", "aggregate_type", "aggregate_id", "version")
Words = Annotated[list[str] | None, typer.Argument(help="field:value,value", metavar="[FILTER]...")]


def list_events(
    words: Words = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with those that come in.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=MANY, help="How many at most.")] = 20,
    moment: AsOf = None,
    schema: Schema = "latest",
    as_json: AsJson = False,
) -> None:
    """List the newest events: `events type:OrderCancelled order:ORD-… --follow`. With --json --follow, one a line.

    Words: type: category: order: stream: after:POSITION at:TIME. With after: or at:, the events from there on.
    For admins: actor: correlation: causation: request: since:TIME until:TIME before:POSITION; the newest that fit.
    """
    asked = _words(words, EVENT_WORDS)
    if asked.keys() & set(found_events.WORDS):
        if follow or moment is not None:
            end_with(USAGE, "--follow and --as-of do not go with words that are for admins")
        found = found_events.find(asked, limit=limit, schema=schema)
        with readable(API):
            say_document({"events": found}) if as_json else say_events(found, as_json=False)
            if not found:
                end_with(NOTHING, "no event matches")
        return
    parameters = {name: asked[name] for name in ("type", "category", "after", "at") if name in asked}
    parameters |= {"order_id": order_id_of(asked["order"])} if "order" in asked else {}
    parameters |= {"stream_id": asked["stream"]} if "stream" in asked else {}
    if moment is not None and follow:
        end_with(USAGE, "--as-of and --follow: nothing follows in the past; name one of them")
    parameters |= as_of(moment)
    parameters |= {"schema": schema}
    first = parameters if {"after", "at"} & parameters.keys() else parameters | {"before": NEWEST}
    page = read("/api/v1/events", first | {"limit": str(limit)})
    with readable(API):
        if as_json and not follow:
            say_document({"events": page["events"], "head": page["head"]})
        else:
            say_events(page["events"], as_json=as_json)
        if not follow:
            if not page["events"]:
                end_with(NOTHING, "no event matches")
            return
        full = len(page["events"]) >= limit and first is parameters
        after = page["events"][-1]["position"] if full else max([page["head"], *_positions(page["events"])])
    tell("… following; ctrl+c ends it")
    parameters.pop("at", None)
    while True:
        page = go_on_reading("/api/v1/events", parameters | {"after": str(after), "limit": str(MANY)})
        with readable(API):
            say_events(page["events"], as_json=as_json, heading=False)
            after = max([after, page["next_after"], *_positions(page["events"])])
            if len(page["events"]) < MANY:
                time.sleep(PAUSE)


def list_sagas(
    words: Words = None,
    *,
    sort: Annotated[str, typer.Option(help="-started_at (the newest first) or -at_risk (the most money first).")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    moment: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """List sagas: `sagas state:failed,overdue --sort=-at_risk`. `orderdeck saga` shows one, and steers it.

    Words: state:failed,overdue,retrying,waiting,running,expiring status:… order: saga:
    """
    asked = _words(words, SAGA_WORDS)
    parameters = {"state": asked["state"].lower()} if "state" in asked else {}
    parameters |= {"status": asked["status"].upper()} if "status" in asked else {}
    parameters |= {"order_id": order_id_of(asked["order"])} if "order" in asked else {}
    parameters |= {"saga_id": asked["saga"]} if "saga" in asked else {}
    parameters |= {"sort": sort} if sort else {}
    parameters |= as_of(moment)
    page = read("/api/v1/sagas", parameters | {"limit": str(limit)})
    with readable(API):
        for _ in range(MOST_EMPTY):
            if page["sagas"] or not page["next_cursor"]:
                break
            page = read("/api/v1/sagas", parameters | {"limit": str(limit), "cursor": page["next_cursor"]})
        if as_json:
            say_document({"sagas": page["sagas"], "more": page["next_cursor"] is not None})
        elif page["sagas"]:
            rows = page["sagas"]
            say_rows(SAGA_FIELDS, [_saga(row) for row in rows], map(_plain_saga, rows), notes=[_note(r) for r in rows])
        if not page["sagas"]:
            end_with(NOTHING, "no saga matches")
        if page["next_cursor"]:
            tell(f"the first {len(page['sagas'])}; --limit shows more, up to 100")


def list_daemons(*, as_json: AsJson = False) -> None:
    """Show every daemon, as the query API sees it: ready or why not, pid, uptime, lag. Exit code 0 if all are ready."""
    page = read("/api/v1/daemons")
    with readable(API):
        if as_json:
            say_document(page)
        else:
            rows = [_daemon(row) for row in page["daemons"]] + [_owner(row) for row in page.get("elsewhere", [])]
            say_rows(DAEMON_FIELDS, rows, map(_plain_daemon, page["daemons"]))
        if not all(row["ready"] for row in page["daemons"]):
            raise typer.Exit(1)


def _words(words: Sequence[str] | None, known: Sequence[str]) -> dict[str, str]:
    """The values of a filter's fields; each is a word of its own, or several are in one argument."""
    from core.filters.words import FilterError, no_comparison, no_negation, words_of

    no_options(words)
    values: dict[str, str] = {}
    try:
        for word in words_of(" ".join(words or ()), known):
            if not word.field:
                raise FilterError(f"{word.typed}: write it as one of {', '.join(f'{name}:' for name in known)}")  # noqa: TRY301 - said as any other
            no_negation(word)
            no_comparison(word)
            if word.field in values:
                raise FilterError(f"{word.field}: is given twice")  # noqa: TRY301 - as above
            values[word.field] = ",".join(word.values)
    except FilterError as error:
        end_with(USAGE, error)
    return values


def _positions(events: Sequence[Mapping[str, Any]]) -> list[int]:
    return [event["position"] for event in events]


def say_events(events: Sequence[Mapping[str, Any]], *, as_json: bool, heading: bool = True) -> None:
    if as_json:
        for event in events:
            say_json(_one_line(event))
    elif events:
        plain = ([*(event[name] for name in PLAIN_EVENT), details(event)] for event in events)
        say_rows(EVENT_FIELDS, [_event(event) for event in events], plain, heading=heading)


def _one_line(document: Any) -> str:
    import msgspec

    return msgspec.json.encode(document).decode()


def _event(event: Mapping[str, Any]) -> Sequence[str]:
    return (str(event["position"]), event["timestamp"][11:23], event["event_type"], details(event))


def _saga(row: Mapping[str, Any]) -> Sequence[str]:
    from core.terminal_text import money

    open_money = row["open"]["money"]
    return (
        row["saga_id"],
        row.get("order_number") or row["order_id"],
        row["state"] or row["status"].lower(),
        money(open_money["amount"], open_money["currency"]) if open_money else "",
    )


def _note(row: Mapping[str, Any]) -> str:
    at = f" at {row['step']}" if row["step"] else ""
    return f"{row['name']}{at}{': ' if row['last_error'] else ''}{row['last_error'] or ''}"


def _plain_saga(row: Mapping[str, Any]) -> Sequence[object]:
    open_money = row["open"]["money"] or {"amount": None, "currency": None}
    return (
        row["saga_id"], row["name"], row["order_id"], row["status"], row["state"], open_money["amount"],
        open_money["currency"], row["step"], row["last_error"],
    )  # fmt: skip


def _plain_daemon(row: Mapping[str, Any]) -> Sequence[object]:
    lag = row["lag"]
    ready = "yes" if row["ready"] else "no"
    events = lag["events"] if lag else None
    return row["name"], ready, row["pid"], row["uptime"], events, row["reason"], _holds(row)


def _holds(row: Mapping[str, Any]) -> str:
    """What a process holds; nothing in the answer of an older service."""
    sagas = row.get("sagas")
    return ", ".join([each["what"] for each in row.get("holds", [])] + ([counted(sagas, "saga")] if sagas else []))


def _daemon(row: Mapping[str, Any]) -> Sequence[str]:
    from core.terminal_text import span

    up = span(row["uptime"]) if row["uptime"] is not None else ""
    lag = row["lag"]
    return (
        row["name"],
        "yes" if row["ready"] else "no",
        str(row["pid"] or ""),
        up.replace(" ", ""),
        counted(lag["events"], "event") if lag else "",
        row["reason"] or _holds(row),
    )


def _owner(row: Mapping[str, Any]) -> Sequence[str]:
    """A process of another machine or home that holds something in the same database."""
    return row["host"], "", str(row["pid"] or ""), "", "", f"elsewhere: {_holds(row)}"
