"""Run the bench: `python -m bench [part ...]`; prints a table with ratios and writes bench/results/latest.json."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.environment import environment
from bench.ground import ROOT, Ground
from bench.paired import FEWEST_PAIRS
from bench.parts import LENGTHS, PARTS, measure
from bench.record import UnreadableRecord, read_record
from bench.report import Measured, table, write_json
from bench.turns import compare_with
from core.adapters.postgres.embedded import EmbeddedPostgres

RESULTS = ROOT / "bench" / "results"


def main() -> None:
    parser = _parser()
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if options.pairs < FEWEST_PAIRS:
        parser.error(f"--pairs: at least {FEWEST_PAIRS}, or noise cannot be told from a difference")
    if options.compare is None:
        _measure(options)
        return
    try:
        sys.exit(_compare(options))
    except UnreadableRecord as error:
        parser.exit(2, f"bench: {error}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    others = ", ".join(name for name, part in PARTS.items() if part.named_only)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"some of {', '.join(PARTS)}; default: all but {others}"
    )
    for name, meaning in LENGTHS.items():
        of = ", ".join(f"{part} {each.length:,g}" for part, each in PARTS.items() if each.option == name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=_length, help=f"{meaning}; default: {of}")
    million, ten_million = (
        ", ".join(part for part, each in PARTS.items() if lengths(each))
        for lengths in (lambda each: each.million, lambda each: each.ten_million)
    )
    parser.add_argument("--million", action="store_true", help=f"1 000 000 events or orders: {million}")
    parser.add_argument("--ten-million", action="store_true", help=f"10 000 000, in 30 GB: {ten_million}")
    parser.add_argument("--json", type=Path, help="default: latest.json or compared.json in bench/results")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="OLD.json",
        help="measure the commit of this JSON and this folder in turns, and say what is better or worse beyond noise; "
        "the parts that are named, or those of the JSON, with half of their lengths",
    )
    parser.add_argument("--pairs", type=int, default=10, help="how often each of both is measured then; default: 10")
    return parser


def _length(text: str) -> float:
    length = float(text)
    if not 0 < length < math.inf:
        raise argparse.ArgumentTypeError(f"not a length: {text}")
    return length


def _measure(options: argparse.Namespace) -> None:
    parts: Sequence[str] = options.parts or [name for name, part in PARTS.items() if not part.named_only]
    path: Path = options.json or RESULTS / "latest.json"
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="od-bench-") as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        ground = Ground(server, Path(folder))
        here = environment(ground)
        with ground.shared:
            for part in parts:
                print(f"bench: {part} …", file=sys.stderr, flush=True)
                length, began = PARTS[part].length_of(vars(options)), time.monotonic()
                rows = measure(part, ground, length)
                ground.clear()
                measured.append(Measured(part, length, time.monotonic() - began, rows))
                write_json(measured, here, path)  # also now, so that it is there if a later part fails
                if len(parts) > 1:  # the whole table comes in the end
                    print(table(measured[-1:]), "\n", file=sys.stderr, flush=True)
    print(table(measured))
    print(f"\nall in {sum(each.seconds for each in measured):.0f} s; written to {path}")


def _compare(options: argparse.Namespace) -> int:
    """Raises UnreadableRecord."""
    record = read_record(options.compare)
    if record.commit is None:
        raise UnreadableRecord(
            f"{options.compare}: names no commit, since an older release has written it; "
            'add "commit": "…", or measure it anew'
        )
    parts = options.parts or [each.part for each in record.parts if each.part in PARTS]
    if not parts:
        raise UnreadableRecord(f"{options.compare}: says not which parts it has: name some")
    turns = {part: PARTS[part].turn(vars(options)) for part in parts}
    return compare_with(record, turns, options.pairs, options.json or RESULTS / "compared.json")


if __name__ == "__main__":
    main()
