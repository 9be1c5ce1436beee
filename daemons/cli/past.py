"""The option --as-of of the commands that read, which shows what was instead of what is; and `orderdeck compare`."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from daemons.cli.output import end_with, say_fields, tell
from daemons.cli.services import USAGE, read, say_document
from daemons.host.bounded_http import readable

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="MOMENT",
        help="As it was then: 09:00, 'yesterday 18:00', 2026-03-14T09:00Z, -2h, or after an event: #48201330. In UTC.",
    ),
]


def as_of(moment: str | None) -> dict[str, str]:
    """The parameter of the query API for this moment; none without one. Says on stderr which moment is shown.

    Ends the command when the text is neither a time nor a position.
    """
    if moment is None:
        return {}
    place = place_of(moment, "--as-of")
    tell(f"as it was {'after' if isinstance(place, int) else 'at'} {in_words(place)}")
    return {"as_of": parameter(place)}


def compare(
    start: Annotated[str, typer.Argument(help="The earlier moment, as for --as-of: 09:00", metavar="FROM")],
    to: Annotated[str | None, typer.Argument(help="The later one; without it, now.", metavar="[TO]")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what changed between two moments: orders by status, money, and the stock of each SKU."""
    first = place_of(start, "FROM")
    last = place_of(to, "TO") if to is not None else None
    asked = {"from": parameter(first)} | ({"to": parameter(last)} if last is not None else {})
    tell(f"from {in_words(first)} to {in_words(last) if last is not None else 'now'}")
    page = read("/api/v1/compare", asked)
    with readable("the query API"):
        if as_json:
            say_document(page)
            return
        for of, group in (("orders", "statuses"), ("payments", "payments")):
            for status, change in page[group].items():
                _say_change(of, status, change)
        for sales in page["sales"]:
            for what in ("orders", "confirmed", "cancelled", "revenue"):
                _say_change(sales["currency"], what, sales[what])
        for stock in page["stock"]:
            for what in ("on_hand", "reserved", "available"):
                _say_change(stock["sku"], what, stock[what])


def _say_change(of: str, what: str, change: Mapping[str, Any]) -> None:
    """One number that has changed, as a line of fields for programs; nothing if it is what it was."""
    if change["before"] != change["after"]:
        more = change["after"] - change["before"]
        say_fields((of, what, str(change["before"]), str(change["after"]), f"{more:+}"))


def in_words(place: int | datetime) -> str:
    return f"position {place:,}" if isinstance(place, int) else f"{place:%Y-%m-%d %H:%M:%S} UTC"


def parameter(place: int | datetime) -> str:
    return str(place) if isinstance(place, int) else place.isoformat()


def place_of(moment: str, name: str) -> int | datetime:
    """The position or time that a text names. Ends the command when it names none."""
    from core.filters.log_places import place_in_log
    from core.filters.words import FilterError

    now = datetime.now(UTC)
    try:
        place = place_in_log(moment, now)
    except FilterError as error:
        end_with(USAGE, f"{name}: {error}")
    if isinstance(place, datetime) and place > now:
        end_with(USAGE, f"{name}: is in the future: here it is {now:%Y-%m-%d %H:%M:%S} UTC")
    return place
