"""Compares with an older commit: its bench and ours run in turns, and what differs beyond noise is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.environment import git
from bench.figures import Figure, figures
from bench.ground import ROOT
from bench.paired import CONFIDENCE, Difference, compare
from bench.record import Record, UnreadableRecord, read_record

LONGEST = 900  # seconds of one turn
Turn = Mapping[str, Figure]


class TurnFailed(Exception):
    """One of the two does not measure a part; the message is one line that says why."""


def compare_with(
    record: Record, parts: Mapping[str, Sequence[str]], pairs: int, path: Path, *, root: Path = ROOT
) -> int:
    """Measure parts, each with the options for its length, in turns with the commit of a record; print and write it.

    Returns the exit code: 1 if a part could not be measured by both.
    """
    commit = record.commit or ""
    document: dict[str, Any] = {
        "old": commit, "new": git("rev-parse", "HEAD", folder=root), "pairs": pairs, "confidence": CONFIDENCE,
        "parts": {},
    }  # fmt: skip
    failed = False
    with tempfile.TemporaryDirectory(prefix="od-bench-old-") as folder:
        take_out(commit, Path(folder), root)
        for part, options in parts.items():
            try:
                old, new = _in_turns(part, options, pairs, Path(folder), root)
            except TurnFailed as error:
                print(f"bench: {part}: {error}", file=sys.stderr)
                failed = True
                continue
            found = differences(old, new)
            document["parts"][part] = {
                name: asdict(each) | {"samples": [[turn[name].value for turn in turns] for turns in (old, new)]}
                for name, each in found.items()
            }
            print("\n".join([part, *lines(found)]), flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")
    changed = "; its record is of that commit with changes, which are not measured" if record.changed else ""
    print(f"\n{pairs} pairs in turns; old is {commit[:12]}{changed}. Ratios are new / old, with the interval of their")
    print(f"median at {CONFIDENCE:.0%}: of a hundred figures that are the same, one is called better or worse.")
    print(f"written to {path}")
    return int(failed)


def take_out(commit: str, folder: Path, root: Path = ROOT) -> None:
    """Put the files of a commit into a folder. Raises UnreadableRecord if it is not here."""
    if git("cat-file", "-e", f"{commit}^{{commit}}", folder=root) is None:
        raise UnreadableRecord(f"commit {commit} is not in this repository: fetch it, or measure the old figures anew")
    archive = folder / "files.tar"
    git("archive", "--format=tar", f"--output={archive}", commit, folder=root)
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    archive.unlink()
    (folder / ".venv").symlink_to(sys.prefix)  # its programs, with the packages that are installed now


def _in_turns(part: str, options: Sequence[str], pairs: int, old: Path, new: Path) -> tuple[list[Turn], list[Turn]]:
    """Old, new, new, old and so on, so that what grows with time slows neither of both."""
    turns: dict[Path, list[Turn]] = {old: [], new: []}
    for pair in range(pairs):
        print(f"bench: {part}, pair {pair + 1} of {pairs} …", file=sys.stderr, flush=True)
        for folder in (old, new) if pair % 2 == 0 else (new, old):
            turns[folder].append(_turn(part, options, folder))
    return turns[old], turns[new]


def _turn(part: str, options: Sequence[str], folder: Path) -> Turn:
    with tempfile.TemporaryDirectory(prefix="od-bench-turn-") as place:
        path = Path(place) / "turn.json"
        try:
            done = subprocess.run(
                [sys.executable, "-m", "bench", part, *options, "--json", str(path)],
                cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, timeout=LONGEST,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TurnFailed(f"a turn took more than {LONGEST} s") from None
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
            raise TurnFailed(f"a turn in {folder} ended with {done.returncode}: {said}")
        record = read_record(path)
    return figures(part, [*record.rows, *(row for each in record.parts for row in each.rows)])


def differences(old: Sequence[Turn], new: Sequence[Turn]) -> dict[str, Difference]:
    """Of each figure that every turn of both has."""
    every = [name for name in old[0] if all(name in turn for turn in (*old, *new))]
    return {
        name: compare(
            [turn[name].value for turn in old],
            [turn[name].value for turn in new],
            more_is_better=new[0][name].more_is_better,
        )
        for name in every
    }


def lines(found: Mapping[str, Difference]) -> list[str]:
    """A table of them; first what is better or worse."""
    seen = sorted(found.items(), key=lambda item: item[1].verdict == "no difference seen")
    width = max((len(name) for name in found), default=0)
    return [
        f"  {name.ljust(width)}  {_short(each.old):>9} -> {_short(each.new):>9}  "
        f"{each.ratio:5.2f}x ({each.low:.2f} to {each.high:.2f})  {each.verdict}"
        for name, each in seen
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}"
