"""Run the bench: `python -m bench [part ...]`; prints a table with ratios and writes bench/results/latest.json."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

from bench.ground import ROOT, Ground
from bench.report import Row, table, write_json
from core.adapters.postgres.embedded import EmbeddedPostgres

PARTS = (
    "commands",
    "guarded",
    "many",
    "runners",
    "flow",
    "cost",
    "rebuild",
    "switch",
    "growth",
    "lists",
    "past",
    "relay",
    "kafka_feed",
    "snapshots",
    "visible",
    "sagas",
    "open_sagas",
    "hot_sku",
    "verify",
    "cache",
    "fail_over",
    "deck",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"some of {', '.join(PARTS)}; default: all")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each load on the command API")
    parser.add_argument("--flow-seconds", type=float, default=60.0, help="length of the run with everything on")
    parser.add_argument("--saga-seconds", type=float, default=2.0, help="length of each load on the sagas")
    parser.add_argument("--backlog", type=int, default=2_000, help="orders that wait for 1, 2 and 4 saga runners")
    parser.add_argument("--open", type=int, default=100_000, help="most sagas open at once")
    parser.add_argument("--orders", type=int, default=2_000, help="orders for the SKU that all want")
    parser.add_argument("--events", type=int, default=200_000, help="events of the log that is rebuilt, or that grows")
    parser.add_argument(
        "--soak", type=float, default=0, help="minutes that the deck is soaked; nothing else of it then"
    )
    parser.add_argument("--million", action="store_true", help="a rebuild of 1 000 000 events, lists of so many orders")
    parser.add_argument(
        "--ten-million",
        action="store_true",
        help="growth to, and verify of, 10 000 000 events, lists of so many orders: 30 GB",
    )
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "results" / "latest.json")
    options = parser.parse_args()
    parts = options.parts or list(PARTS)
    million = 1_000_000 if options.million else options.events
    ten_million = 10_000_000 if options.ten_million else million
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    lengths = {
        "commands": options.seconds,
        "guarded": options.seconds,
        "many": options.seconds,
        "runners": options.backlog,
        "flow": options.flow_seconds,
        "cost": options.seconds,
        "rebuild": million,
        "switch": million,
        "growth": ten_million,
        "lists": 10_000_000 if options.ten_million else 1_000_000 if options.million else 100_000,
        "past": million,
        "relay": options.events,
        "kafka_feed": options.events,
        "snapshots": 1_000_000,
        "visible": options.seconds,
        "cache": options.seconds,
        "verify": ten_million,
        "sagas": options.saga_seconds,
        "open_sagas": options.open,
        "hot_sku": options.orders,
        "fail_over": 1.0,
        "deck": options.soak,
    }
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="od-bench-") as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        ground = Ground(server, Path(folder))
        for part in parts:
            print(f"bench: {part} …", file=sys.stderr, flush=True)
            rows += importlib.import_module(f"bench.{part}").measure(ground, lengths[part])
            print(table(rows), "\n", file=sys.stderr, flush=True)
    write_json(rows, options.json)
    print(table(rows))
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
