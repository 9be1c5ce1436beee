"""Prints rows: aligned under a heading, within the width of the terminal; or each field whole, with tabs between."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.printable import clean
from daemons.cli.output import say, say_fields


class TableField(NamedTuple):
    """One column of a table. With `widest` 0 it takes the room that is left on a terminal."""

    title: str
    widest: int = 0
    right: bool = False


def say_rows(
    fields: Sequence[TableField],
    rows: Sequence[Sequence[str]],
    plain: Iterable[Sequence[object]],
    *,
    heading: bool = True,
    notes: Sequence[str] = (),
) -> None:
    """Print rows on a terminal, each with its note below it; or the plain ones, for programs, into a pipe or a file.

    Of no rows nothing is printed: the command says on stderr that there are none.
    """
    if not on_a_terminal():
        for row in plain:
            say_fields("" if value is None else str(value) for value in row)
        return
    if not rows:
        return
    from rich.cells import cell_len

    from core.terminal_text import fit

    texts = [[clean(text) for text in row] for row in rows]
    widths = [
        min(field.widest or 10_000, max(cell_len(each) for each in (field.title, *(row[n] for row in texts))))
        for n, field in enumerate(fields)
    ]
    room = shutil.get_terminal_size().columns - sum(w for w, f in zip(widths, fields, strict=True) if f.widest)
    room -= 2 * (len(fields) - 1)
    widths = [width if field.widest else max(4, min(width, room)) for width, field in zip(widths, fields, strict=True)]
    lines = [[field.title for field in fields]] if heading else []
    below = [*([""] * len(lines)), *(notes or [""] * len(texts))]
    for line, note in zip([*lines, *texts], below, strict=True):
        cells = (fit(text, width, right=f.right) for text, width, f in zip(line, widths, fields, strict=True))
        say("  ".join(cells).rstrip())
        if note:
            say(f"    {note}")


def on_a_terminal() -> bool:
    return sys.stdout.isatty()
