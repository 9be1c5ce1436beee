"""Draws the plots of docs/explanation/speed.md: `python -m bench.plots [FILE.json ...]`; by default of results/shown.

A plot for which the files have no figures is left as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figures import Row
from bench.ground import ROOT
from bench.record import RecordedPart, UnreadableRecord, read_record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = ROOT / "bench" / "results" / "shown"
PICTURES = ROOT / "docs" / "explanation"
# White behind everything, so that it is legible on a dark page as well; text stays text, so it can be searched.
STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "orderdeck", "font.family": "sans-serif", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e5e5e5",
    "axes.axisbelow": True, "figure.constrained_layout.use": True, "legend.frameon": False,
}  # fmt: skip
SIZE = (7.2, 3.6)  # inches
PEER = {"linestyle": "--", "marker": "s"}
PROGRAMS = ("postgres", "saga-runner", "command-api", "payment-sandbox", "projector", "query-api")
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#9c6b4e")
GROWTH = {
    "append_us": "append in process", "post_us": "POST", "load_us": "load in process", "get_us": "GET by id",
    "list_us": "list", "customer_us": "customer's list", "claim_us": "claim of sagas", "deck_ms": "deck's first page",
    "fold_us": "fold into read models", "verify_us": "verify",
}  # fmt: skip
PERCENTILES = ("50", "75", "90", "95", "99", "99.9")

Rows = dict[str, list[Row]]


class NothingToDraw(Exception):
    """The files have no figures for a plot."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plots", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.json", help="of the bench; of a part the last one")
    parser.add_argument("--to", type=Path, default=PICTURES, help="the folder of the pictures")
    options = parser.parse_args()
    try:
        parts = [part for path in options.files or sorted(SHOWN.glob("*.json")) for part in read_record(path).parts]
        options.to.mkdir(parents=True, exist_ok=True)
    except (UnreadableRecord, OSError) as error:
        parser.exit(2, f"bench: {error}\n")
    for path in draw(parts, options.to):
        print(path)


def draw(parts: Sequence[RecordedPart], folder: Path) -> Iterator[Path]:
    """Draw each plot that there are figures for; yields the files. The same figures make the same bytes."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second, and only the bench's extra installs it
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows = {part.part: part.rows for part in parts}
    for name, plot in PLOTS.items():
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=SIZE)
            try:
                plot(figure.subplots(), rows)
                figure.savefig(path := folder / f"speed-{name}.svg", metadata={"Date": None, "Creator": None})
                yield path
            except NothingToDraw as missing:
                print(f"bench: speed-{name}.svg: {missing}", file=sys.stderr)


def _having(rows: Rows, part: str, *names: str) -> list[Row]:
    """The rows of a part whose data have all these names."""
    return [row for row in rows.get(part, []) if set(names) <= set(row.data)]


def _clients(axes: Axes, rows: Rows) -> None:
    ours = [row for row in _having(rows, "commands", "clients", "rate") if "peer" not in row.data]
    if not ours:
        raise NothingToDraw("no figures of commands")
    _curve(axes, "orderdeck: POST of an order over HTTP", ours, "clients", marker="o", color=COLOURS[0])
    for colour, name, what in (
        (COLOURS[1], "pgbench", "pgbench: INSERT of the same row"),
        (COLOURS[2], "pyeventsourcing", "pyeventsourcing: save() in process"),
    ):
        if peer := [row for row in _having(rows, "commands", "peer", "clients", "rate") if row.data["peer"] == name]:
            _curve(axes, what, sorted(peer, key=lambda row: row.data["clients"]), "clients", color=colour, **PEER)
    if emmett := [row for row in _having(rows, "emmett", "at_once", "rate") if row.what.startswith("Emmett")]:
        _curve(axes, "Emmett (Node): append in process", emmett, "at_once", color=COLOURS[3], **PEER)
    axes.set_xscale("log", base=2)
    axes.set_xticks(clients := [row.data["clients"] for row in ours], [str(each) for each in clients])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlabel="clients at once", ylabel="orders a second", title="Orders taken, by the number of clients")
    axes.legend()


def _curve(axes: Axes, label: str, rows: Sequence[Row], x: str, **style: Any) -> None:
    axes.plot([row.data[x] for row in rows], [row.data["rate"] for row in rows], label=label, **style)


def _latency(axes: Axes, rows: Rows) -> None:
    found = _having(rows, "commands", "percentiles_ms", "clients")
    if not found:
        raise NothingToDraw("no percentiles of commands")
    ours = [row for row in found if "peer" not in row.data]
    for row, colour in zip(found, COLOURS, strict=False):
        style: dict[str, Any] = {"marker": "o"} if row in ours else PEER
        label = f"{row.data['clients']} client{'s' if row.data['clients'] > 1 else ''}"
        label = label if row in ours else f"{row.data['peer']}, {label}"
        axes.plot(
            PERCENTILES, [row.data["percentiles_ms"][each] for each in PERCENTILES], label=label, color=colour, **style
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="percent of the answers", ylabel="answered within, ms", title="POST of an order: latencies")
    axes.legend(ncols=2)


def _cost(axes: Axes, rows: Rows) -> None:
    """Bars: an order's way to CONFIRMED with everything on, then a saga in one process beside its peers."""
    bars: dict[str, dict[str, float]] = {
        f"everything on, {row.data['offered']:.0f} orders/s": row.data["cpu_ms_per_order"]
        for row in _having(rows, "cost", "offered", "cpu_ms_per_order")
    }
    if not bars:
        raise NothingToDraw("no figures of cost")
    for part in ("sagas", "temporal"):
        for row in _having(rows, part, "cpu_ms", "postgres_cpu_ms"):
            name = row.what.strip().replace("sagas/s", "sagas").replace("workflows of 3 steps/s", "workflows")
            bars[name] = {"postgres": row.data["postgres_cpu_ms"], "the one process": row.data["cpu_ms"]}
    labels = list(bars)[::-1]
    left = dict.fromkeys(labels, 0.0)
    for program, colour in zip((*PROGRAMS, "the one process"), (*COLOURS, "#9498a0"), strict=True):
        widths = [bars[label].get(program, 0.0) for label in labels]
        if any(widths):
            named = "PostgreSQL" if program == "postgres" else program
            axes.barh(labels, widths, left=list(left.values()), label=named, color=colour, height=0.7)
        left = {label: left[label] + width for label, width in zip(labels, widths, strict=True)}
    for row, total in enumerate(left.values()):
        axes.text(total, row, f" {total:.1f}", va="center")
    axes.set(xlabel="ms of CPU an order", title="What an order costs", xlim=(0, 1.12 * max(left.values())))
    axes.grid(visible=False, axis="y")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def _growth(axes: Axes, rows: Rows) -> None:
    found = _having(rows, "growth", "events", "times")
    if not found:
        raise NothingToDraw("no figures of growth")
    data = found[-1].data
    for number, (name, what) in enumerate(GROWTH.items()):
        if name in data["times"]:
            style = "-" if number < len(COLOURS) else ":"
            axes.plot(
                data["events"], data["times"][name], style, marker="o", label=what, color=COLOURS[number % len(COLOURS)]
            )
    axes.axhline(1.3, color="#777777", linestyle="--", linewidth=1)
    axes.text(data["events"][0], 1.31, "to reach: at most 1.3", color="#777777", fontsize=8)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set(
        xlabel="events in the log",
        ylabel="times what the small log takes",
        title="What everything takes as the log grows",
    )
    axes.legend(fontsize=8, ncols=2, loc="lower left")


PLOTS: dict[str, Callable[[Axes, Rows], None]] = {
    "clients": _clients,
    "latency": _latency,
    "cost": _cost,
    "growth": _growth,
}


if __name__ == "__main__":
    main()
