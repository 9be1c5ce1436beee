"""`orderdeck rebuild`: has read models made anew beside those that are read, and shows how far that is, over HTTP."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

import shutil
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from core.printable import clean_lines
from daemons.cli.output import end_with, fail, say
from daemons.cli.services import USAGE, go_on_reading, read, say_document, send
from daemons.host.bounded_http import readable

PATH = "/api/v1/admin/rebuilds"
UNFINISHED = ("waiting", "building", "indexing", "checking", "switching")
LOOK_EVERY = 0.5  # seconds
PRINT_EVERY = 2.0  # seconds, where lines cannot be drawn over
BAR = 30  # cells


class CheckOf(StrEnum):
    """How much is compared with the log."""

    SAMPLE = "sample"
    ALL = "all"


def rebuild(
    group: Annotated[str, typer.Argument(help="The group of read models: orders or stock.")] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Every group.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Show how far it is until it is done.")] = False,
    max_rate: Annotated[int | None, typer.Option(min=1, help="At most so many events a second.")] = None,
    check: Annotated[CheckOf, typer.Option(help="What is compared with the log.")] = CheckOf.SAMPLE,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up what is under way.")] = False,
    switch_back: Annotated[bool, typer.Option("--switch-back", help="Read those of before again.")] = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Throw those of before away now.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with your name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Make read models anew from the log while they are read; without a group, list what was made."""
    wishes = [
        wish for wish, wanted in (("cancel", cancel), ("switch-back", switch_back), ("drop-old", drop_old)) if wanted
    ]
    if len(wishes) > 1:
        end_with(USAGE, f"--{wishes[0]} and --{wishes[1]} are two wishes: give one")
    if group and every:
        end_with(USAGE, f"either {group} or --all")
    if not group and not every:
        if wishes or max_rate is not None:
            end_with(USAGE, "say of which group: orders, stock, or --all")
        _list(as_json=as_json)
        return
    groups = _groups() if every else [group]
    if every and wishes:
        groups = _with_something(groups, wishes[0])
    for one in groups:
        _act(one, wishes[0] if wishes else "", reason, max_rate, check, quiet=as_json)
    if follow:
        _follow(groups)
    elif as_json:
        say_document(_of(groups))
    elif not wishes:
        say("orderdeck rebuild shows how far it is; what is read changes when it has caught up")


def _groups() -> Sequence[str]:
    from core.projections import GROUPS

    return [group.name for group in GROUPS]


def _with_something(groups: Sequence[str], wish: str) -> Sequence[str]:
    """Those of the groups that have something to give up, or to go back to; all of them if none has."""
    states = UNFINISHED if wish == "cancel" else ("kept",)
    with readable("the query API"):
        rows = [row for row in read(PATH)["rebuilds"] if row["purpose"] == "rebuild" and row["state"] in states]
        having = {row["group"] for row in rows}
    return [group for group in groups if group in having] or groups


def _act(group: str, wish: str, reason: str, max_rate: int | None, check: CheckOf, *, quiet: bool) -> None:
    body: dict[str, Any] = {"group": group, "reason": reason}
    if not wish:
        body |= {"check": check.value} | ({"max_rate": max_rate} if max_rate is not None else {})
    send("POST", f"{PATH}/{wish}" if wish else PATH, body, key=str(uuid.uuid4()), dry_run=False)
    done = {
        "": f"{group} is made anew beside what is read",
        "cancel": f"the rebuild of {group} is given up",
        "switch-back": f"{group} of before is brought up to date, and read again then",
        "drop-old": f"{group} of before is dropped",
    }
    if not quiet:
        say(done[wish])


def _list(*, as_json: bool) -> None:
    page = read(PATH)
    if as_json:
        say_document(page)
        return
    with readable("the query API"):
        for row in page["rebuilds"]:
            say(line_of(row))
        if not page["rebuilds"]:
            say("no read models were made anew yet: orderdeck rebuild orders, stock, or --all")


def _of(groups: Sequence[str]) -> list[Mapping[str, Any]]:
    """The newest rebuild of each group that was not live before it was asked for."""
    newest: dict[str, Mapping[str, Any]] = {}
    with readable("the query API"):
        for row in go_on_reading(PATH)["rebuilds"]:
            if row["purpose"] != "rebuild" or row["group"] not in groups:
                continue
            if row["state"] in (*UNFINISHED, "live", "failed", "cancelled"):
                known = newest.get(row["group"])
                if known is None or (row["state"] in UNFINISHED and known["state"] not in UNFINISHED):
                    newest[row["group"]] = row
    return list(newest.values())


def _follow(groups: Sequence[str]) -> None:
    """Show how far the groups are until all are done. Ends with 1 if one was not switched in."""
    live, told = sys.stdout.isatty(), ""
    while True:
        with readable("the query API"):
            rows = _of(groups)
            lines = [line_of(row) for row in rows]
        going_on = any(row["state"] in UNFINISHED for row in rows)
        text = "\n".join(lines)
        if live:
            text = clean_lines("\n".join(in_one_row(line) if going_on else line for line in lines))
            up = f"\x1b[{told.count(chr(10)) + 1}A\r\x1b[J" if told else ""
            sys.stdout.write(up + text + "\n")
            sys.stdout.flush()
            told = text
        elif not going_on or text != told:
            say(text)
            told = text
        if not going_on:
            break
        time.sleep(LOOK_EVERY if live else PRINT_EVERY)
    if any(row["state"] != "live" for row in rows):
        fail("not everything was switched in: the list above says why")


def in_one_row(line: str) -> str:
    """The beginning of a line that fits in one row of the terminal, so that it can be drawn over."""
    return line[: max(1, shutil.get_terminal_size().columns - 1)]


def line_of(row: Mapping[str, Any]) -> str:
    """One generation as a line of text: `orders #7 building [####    ] 41 % of 1,000,000, 61,200 ev/s, 9 s left`."""
    head = f"{row['group']:<7} #{row['id']:<4} {row['state']:<9}"
    if row["state"] in UNFINISHED:
        done = row["position"] / row["end"] if row["end"] else 1.0
        bar = "#" * int(BAR * done)
        left = f", {row['seconds_left']:.0f} s left" if row["seconds_left"] is not None else ""
        rate = f", {row['rate']:,.0f} ev/s" if row["rate"] >= 1 else ""  # none while it makes indexes, nor at first
        note = f"  {row['note']}" if row["note"] else ""
        return f"{head} [{bar:<{BAR}}] {int(100 * done)} % of {row['end']:,}{rate}{left}{note}"
    at = f"  since {row['ended_at'][:19]}" if row["ended_at"] else ""
    kept = f", kept until {row['keep_until'][:19]}" if row["keep_until"] else ""
    note = f"  {row['note']}" if row["note"] else ""
    return f"{head} {row['revision']}{at}{kept}{note}  by {row['requested_by']}"
