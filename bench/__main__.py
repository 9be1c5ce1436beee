"""Run the bench: `python -m bench [part ...]`; prints a table with ratios and writes bench/results/latest.json."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.ground import ROOT, Ground
from bench.parts import LENGTHS, PARTS, measure
from bench.report import Measured, table, write_json
from core.adapters.postgres.embedded import EmbeddedPostgres


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"some of {', '.join(PARTS)}; default: all")
    for name, meaning in LENGTHS.items():
        of = ", ".join(f"{part} {each.length:,.0f}" for part, each in PARTS.items() if each.option == name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help=f"{meaning}; default: {of}")
    million, ten_million = (
        ", ".join(part for part, each in PARTS.items() if lengths(each))
        for lengths in (lambda each: each.million, lambda each: each.ten_million)
    )
    parser.add_argument("--million", action="store_true", help=f"1 000 000 events or orders: {million}")
    parser.add_argument("--ten-million", action="store_true", help=f"10 000 000, in 30 GB: {ten_million}")
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "results" / "latest.json")
    options = parser.parse_args()
    parts = options.parts or [name for name, part in PARTS.items() if not part.named_only]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="od-bench-") as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        ground = Ground(server, Path(folder))
        for part in parts:
            print(f"bench: {part} …", file=sys.stderr, flush=True)
            length, began = PARTS[part].length_of(vars(options)), time.monotonic()
            rows = measure(part, ground, length)
            measured.append(Measured(part, length, time.monotonic() - began, rows))
            print(table(measured[-1:]), "\n", file=sys.stderr, flush=True)
    write_json(measured, options.json)
    print(table(measured))
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
