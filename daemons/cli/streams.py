"""`orderdeck streams`, `checkpoints` and `snapshots`: what the log and its readers are made of, for administrators."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from core.terminal_text import counted
from daemons.cli.lists import say_events
from daemons.cli.output import end_with, say, tell
from daemons.cli.services import NOTHING, USAGE, read, say_document, send
from daemons.cli.tables import TableField, say_rows
from daemons.host.bounded_http import readable

streams = typer.Typer(no_args_is_help=True, help="See the streams of the log, and what each has recorded.")
snapshots = typer.Typer(no_args_is_help=True, help="See the kept states of long streams, and have them forgotten.")

STREAMS = "/api/v1/admin/streams"
CHECKPOINTS = "/api/v1/admin/checkpoints"
SNAPSHOTS = "/api/v1/admin/snapshots"
API = "the query API"
MOST = 10_000
A_PAGE = 1_000
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Limit = Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")]
STREAM_FIELDS = (
    TableField("STREAM", 36),
    TableField("CATEGORY", 9),
    TableField("EVENTS", 9, right=True),
    TableField("SNAPSHOT", 9, right=True),
    TableField("LAST EVENT"),
)
CHECKPOINT_FIELDS = (
    TableField("READER", 24),
    TableField("POSITION", 10, right=True),
    TableField("BEHIND", 9, right=True),
    TableField("SECONDS", 8, right=True),
    TableField("HELD BY"),
)
SNAPSHOT_FIELDS = (
    TableField("STREAM", 36),
    TableField("VERSION", 9, right=True),
    TableField("BEHIND", 7, right=True),
    TableField("BYTES", 9, right=True),
    TableField("SCHEMA", 12),
    TableField("TAKEN UTC"),
)
PLAIN_STREAM = (
    *("stream_id", "category", "version", "snapshot_version", "first_position", "first_at"),
    *("last_position", "last_at", "last_type"),
)
PLAIN_CHECKPOINT = (
    *("reader", "group", "generation", "revision", "position"),
    *("lag_events", "lag_seconds", "epoch", "saved_at"),
)
PLAIN_SNAPSHOT = ("stream_id", "category", "version", "behind", "bytes", "schema", "taken_at")


@streams.command("list")
def list_streams(
    *,
    category: Annotated[
        str, typer.Option(help="order, inventory, payment, saga, reader or customer; or several.")
    ] = "",
    prefix: Annotated[str, typer.Option(help="How their ids begin.")] = "",
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List streams in the order of their ids: how many events each has, and its last one."""
    asked = {"category": category, "prefix": prefix.replace("-", "").lower()}
    found = _all(STREAMS, "streams", {name: text for name, text in asked.items() if text}, limit)
    with readable(API):
        if as_json:
            say_document({"streams": found})
        else:
            rows = [
                (
                    *(str(row["stream_id"]), str(row["category"]), f"{row['version']:,}"),
                    str(row["snapshot_version"] or ""),
                    f"{row['last_type']} at {row['last_position']}, {_when(row['last_at'])}",
                )
                for row in found
            ]
            say_rows(STREAM_FIELDS, rows, ([row[name] for name in PLAIN_STREAM] for row in found))
        if not found:
            end_with(NOTHING, "no stream matches")


@streams.command()
def show(
    stream_id: Annotated[str, typer.Argument(help="Its id, such as that of an order.")],
    *,
    after: Annotated[int, typer.Option(min=0, help="Only the events after this version.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=A_PAGE, help="How many events at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show one stream with its events, the oldest first."""
    path = f"{STREAMS}/{quote(stream_id, safe='')}"
    one = read(path, {"after": str(after), "limit": str(limit)})
    with readable(API):
        if as_json:
            say_document(one)
            return
        row, events = one["stream"], one["events"]
        kept = f", snapshot at {row['snapshot_version']}" if row["snapshot_version"] else ""
        many = counted(row["version"], "event")
        tell(f"{row['category']} {row['stream_id']}: {many} since {_when(row['first_at'])}{kept}")
        say_events(events, as_json=False)
        if events and events[-1]["version"] < row["version"]:
            tell(f"up to version {events[-1]['version']:,}; --after {events[-1]['version']} goes on")


def list_checkpoints(*, as_json: AsJson = False) -> None:
    """List how far each reader of the log is, and which processes hold the shares of its work."""
    page = read(CHECKPOINTS)
    with readable(API):
        if as_json:
            say_document(page)
            return
        found = page["checkpoints"]
        rows = [
            (
                *(str(row["reader"]), str(row["position"]), f"{row['lag_events']:,}", f"{row['lag_seconds']:.1f}"),
                _holders(row["shares"]),
            )
            for row in found
        ]
        say_rows(
            CHECKPOINT_FIELDS,
            rows,
            ([*(row[name] for name in PLAIN_CHECKPOINT), _holders(row["shares"])] for row in found),
        )


@snapshots.command("list")
def list_snapshots(*, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List the kept states of streams: up to which version each is, and how many events its stream has had since."""
    found = _all(SNAPSHOTS, "snapshots", {}, limit)
    with readable(API):
        if as_json:
            say_document({"snapshots": found})
        else:
            rows = [
                (
                    *(str(row["stream_id"]), f"{row['version']:,}", f"{row['behind']:,}", f"{row['bytes']:,}"),
                    *(str(row["schema"]), _when(row["taken_at"])),
                )
                for row in found
            ]
            say_rows(SNAPSHOT_FIELDS, rows, ([row[name] for name in PLAIN_SNAPSHOT] for row in found))
        if not found:
            end_with(NOTHING, "no stream is so long that its state is kept")


@snapshots.command()
def forget(
    stream_id: Annotated[str, typer.Argument(help="The stream whose snapshot is forgotten; or --all.")] = "",
    *,
    everything: Annotated[bool, typer.Option("--all", help="Forget all of them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget snapshots. That is always safe: streams are read from their first event until they have new ones."""
    if bool(stream_id) == everything:
        end_with(USAGE, "name one stream, or say --all")
    path = f"{SNAPSHOTS}/{quote(stream_id, safe='')}/forget" if stream_id else f"{SNAPSHOTS}/forget"
    said = send("POST", path, None, key=str(uuid.uuid4()), dry_run=False)
    with readable("the command API"):
        if as_json:
            say_document(said)
        else:
            say(f"forgotten: {said['forgotten']}")


def _all(path: str, name: str, asked: Mapping[str, str], limit: int) -> list[dict[str, Any]]:
    """The rows of as many pages as it takes."""
    rows: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = read(path, {**asked, **after, "limit": str(min(A_PAGE, limit - len(rows)))})
        with readable(API):
            rows += page[name]
            if page["next_after"] is None or len(rows) >= limit:
                return rows
            if str(page["next_after"]) <= after.get("after", ""):
                raise ValueError(f"its pages do not end: {page['next_after']} follows {after['after']}")
            after = {"after": str(page["next_after"])}


def _holders(shares: Sequence[Mapping[str, Any]]) -> str:
    """`a.1 (epoch 4): 0 1; nobody: 2`."""
    held: dict[str, list[str]] = {}
    for share in shares:
        owner = f"{share['owner']} (epoch {share['epoch']})" if share["owner"] else "nobody"
        held.setdefault(owner, []).append(str(share["share"]))
    return "; ".join(f"{owner}: {' '.join(numbers)}" for owner, numbers in held.items())


def _when(text: str) -> str:
    return text[:19].replace("T", " ")
