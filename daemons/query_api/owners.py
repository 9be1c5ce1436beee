"""Who holds what: the shares of readers and the sagas that each process has a lease on, on whatever machine it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from msgspec import Struct

from core.ports.generations import Generation
from core.ports.shares import Share
from core.printable import clean
from core.projections import GROUPS

LONGEST_HOST = 60  # characters
REBUILD = "rebuild"  # the reader whose share the projector holds that has read models made anew


class Hold(Struct, kw_only=True):
    """Shares of one reader that one process holds until `until`, or longer if it renews them. `what`: in words."""

    reader: str
    shares: list[int]
    until: datetime | None
    what: str


class OwnerRow(Struct, kw_only=True):
    """A process that holds something, and is none of this home: its machine, and its id there."""

    host: str
    pid: int | None
    holds: list[Hold]
    sagas: int


def by_owner(
    shares: Sequence[Share], sagas: Mapping[str, int], building: Sequence[Generation] = ()
) -> dict[str, OwnerRow]:
    """What each owner holds, by the name under which it holds it; `building` are the rebuilds that are under way."""
    rows = {name: _row(name, sagas.get(name, 0)) for name in {s.owner for s in shares if s.owner} | set(sagas)}
    held = sorted((s for s in shares if s.owner), key=lambda s: (s.owner or "", s.reader, s.number))
    for (owner, reader), of_one in groupby(held, key=lambda s: (s.owner or "", s.reader)):
        its = list(of_one)
        numbers = [share.number for share in its]
        until = max((share.lease_until for share in its if share.lease_until), default=None)
        what = how_far(building) if reader == REBUILD and building else in_words(reader, numbers)
        rows[owner].holds.append(Hold(reader=reader, shares=numbers, until=until, what=what))
    return rows


def in_words(reader: str, numbers: Sequence[int]) -> str:
    """Such as `orders`, `orders 0-5`, `relay`, or `starts 0,3` for the starting of sagas."""
    if reader == "projector":  # it has a share for each group of read models
        return ", ".join(GROUPS[n].name if n < len(GROUPS) else str(n) for n in numbers)
    if reader in ("relay", "notifier", REBUILD):  # one process does all of it
        return reader
    of_what = "starts" if reader == "saga-runner" else clean(reader.removeprefix("projector."), 40)
    return f"{of_what} {ranges(numbers)}"


def how_far(building: Sequence[Generation]) -> str:
    """Such as `rebuild orders 41 %, stock 80 %, 61200 ev/s, 10 s left`."""
    each = [f"{one.reader.rpartition('.')[2]} {100 * one.position // max(1, one.end)} %" for one in building]
    rate = sum(one.rate for one in building)
    left = max((max(0, one.end - one.position) / one.rate for one in building if one.rate >= 1), default=None)
    more = [f"{rate:.0f} ev/s"] + ([f"{left:.0f} s left"] if left is not None else [])
    return f"{REBUILD} {', '.join([*each, *more])}"


def ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers, with a dash for those in between: 0-5,8."""
    said: list[str] = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        first, *rest = [number for _, number in run]
        said.append(f"{first}-{rest[-1]}" if rest else str(first))
    return ",".join(said)


def _row(name: str, sagas: int) -> OwnerRow:
    host, _, rest = name.partition(":")
    pid = rest.partition(":")[0]
    number = int(pid) if pid.isdecimal() and len(pid) < 12 else None
    return OwnerRow(host=clean(host, LONGEST_HOST), pid=number, holds=[], sagas=sagas)
