"""The option --as-of of the commands that read: it shows what was, instead of what is."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from daemons.cli.output import end_with, tell
from daemons.cli.services import USAGE

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
    from core.filters.log_places import place_in_log
    from core.filters.words import FilterError

    try:
        place = place_in_log(moment, datetime.now(UTC))
    except FilterError as error:
        end_with(USAGE, f"--as-of: {error}")
    if isinstance(place, int):
        tell(f"as it was after position {place:,}")
        return {"as_of": str(place)}
    tell(f"as it was at {place:%Y-%m-%d %H:%M:%S} UTC")
    return {"as_of": place.isoformat()}
