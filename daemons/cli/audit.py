"""`orderdeck audit`: who asked for what, from where, and what came of it; and what a command notes of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from daemons.cli.found_events import earlier
from daemons.cli.orders import AsJson
from daemons.cli.output import end_with, say_json
from daemons.cli.past import place_of
from daemons.cli.services import NOTHING, USAGE, read
from daemons.cli.tables import TableField, say_rows
from daemons.host.bounded_http import readable

FIELDS = (
    TableField("POSITION", 9, right=True),
    TableField("TIME UTC", 19),
    TableField("WHO", 24),
    TableField("FROM", 15),
    TableField("OUTCOME", 22),
    TableField("ASKED FOR"),
)
PLAIN = ("position", "at", "caller", "on_behalf_of", "source", "outcome", "status", "problem", "action", "target")
PLAIN_REST = ("request_id", "event_position", "times", "detail")
MOST = 10_000
A_PAGE = 1_000
Filter = Annotated[str, typer.Option(metavar="TEXT")]


def audit(
    *,
    since: Annotated[str, typer.Option(metavar="MOMENT", help="From then on: 09:00, -2h, 2026-03-14T09:00Z.")] = "",
    caller: Annotated[str, typer.Option(help="Only of this caller, or on its behalf.")] = "",
    outcome: Annotated[str, typer.Option(help="done, refused or failed.")] = "",
    source: Annotated[str, typer.Option(help="Only from this address.")] = "",
    action: Annotated[str, typer.Option(help="Only this, such as 'POST /api/v1/orders'.")] = "",
    target: Annotated[str, typer.Option(help="Only on this: an order's id, a SKU.")] = "",
    request_id: Annotated[str, typer.Option(help="Only of this request.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List who asked for what, and what came of it, the newest first."""
    given = {"caller": caller, "outcome": outcome, "source": source, "action": action, "target": target}
    asked = {name: text for name, text in (given | {"request_id": request_id}).items() if text}
    if since:
        place = place_of(since, "--since")
        if isinstance(place, int):
            end_with(USAGE, "--since is a time: 09:00, -2h, or 2026-03-14T09:00Z")
        asked["since"] = place.isoformat()
    rows, page = _rows(asked, limit)
    with readable("the query API"):
        if as_json:
            ends = {name: page[name] for name in ("head", "hash", "cut")}
            say_json(json.dumps({"rows": rows, **ends}, indent=2, ensure_ascii=False))
            return
        if not rows:
            end_with(NOTHING, "no row of the audit matches")
        plain = ([row[name] for name in (*PLAIN, *PLAIN_REST)] for row in rows)
        say_rows(FIELDS, [_cells(row) for row in rows], plain, notes=[str(row["detail"]) for row in rows])


def _rows(asked: Mapping[str, str], limit: int) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:
    """The rows of as many pages as it takes, and the last page."""
    rows: list[Mapping[str, Any]] = []
    before: dict[str, str] = {}
    while True:
        page = read("/api/v1/audit", {**asked, **before, "limit": str(min(A_PAGE, limit - len(rows)))})
        with readable("the query API"):
            rows += page["rows"]
            if page["next_before"] is None or len(rows) >= limit:
                return rows, page
            before = {"before": str(earlier(page["next_before"], before.get("before")))}


def _cells(row: Mapping[str, Any]) -> Sequence[str]:
    who = row["caller"] or ("nobody" if not row["on_behalf_of"] else "")
    who += f" for {row['on_behalf_of']}" if row["on_behalf_of"] else ""
    outcome = " ".join(str(part) for part in (row["outcome"], row["problem"] or row["status"] or "") if part)
    what = " ".join(part for part in (row["action"], row["target"]) if part)
    times = f" (×{row['times']})" if row["times"] > 1 else ""
    return (str(row["position"]), row["at"][:19].replace("T", " "), who.strip(), row["source"], outcome, what + times)
