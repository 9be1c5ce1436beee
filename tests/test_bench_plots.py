"""The plots of the page on speed: made of the bench's JSON, the same bytes for the same figures."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.figures import Row
from bench.plots import PERCENTILES, SHOWN, draw, main
from bench.record import RecordedPart, read_record

ROOT = Path(__file__).resolve().parents[1]


def commands(rate: float) -> RecordedPart:
    took = dict.fromkeys(PERCENTILES, 2.0)
    figures: list[dict[str, Any]] = [
        {"clients": 8, "rate": rate, "percentiles_ms": took},
        {"peer": "pgbench", "clients": 32, "rate": 20_000.0, "percentiles_ms": took},
    ]
    return RecordedPart("commands", [Row("POST", each) for each in figures])


PARTS = [
    commands(5_000.0),
    RecordedPart("cost", [Row("CPU", {"offered": 300.0, "cpu_ms_per_order": {"postgres": 1.5, "projector": 0.5}})]),
    RecordedPart("sagas", [Row("DBOS workflows of 3 steps/s, over HTTP", {"cpu_ms": 8.0, "postgres_cpu_ms": 4.5})]),
    RecordedPart("growth", [Row("times", {"events": [10_000, 1_000_000], "times": {"append_us": [1.0, 1.1]}})]),
]


def text_of(path: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))


def test_each_plot_says_what_it_shows_with_units_and_peers_beside_ours(tmp_path: Path) -> None:
    clients, latency, cost, growth = (text_of(path) for path in draw(PARTS, tmp_path))
    assert {"clients at once", "orders a second", "pgbench: INSERT of the same row"} <= set(clients)
    assert {"answered within, ms", "8 clients", "pgbench, 32 clients", "99.9"} <= set(latency)
    assert {"ms of CPU an order", "PostgreSQL", " 2.0", "DBOS workflows, over HTTP", " 12.5"} <= set(cost)
    assert {"events in the log", "append in process", "to reach: at most 1.3"} <= set(growth)


def test_the_same_figures_make_the_same_picture_and_others_another(tmp_path: Path) -> None:
    pictures: list[bytes] = []
    for rate in (5_000.0, 5_000.0, 6_000.0):
        first = next(draw([commands(rate)], tmp_path))
        pictures.append(first.read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_a_plot_without_figures_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (before := tmp_path / "speed-cost.svg").write_text("as before")
    assert [path.name for path in draw([commands(1.0)], tmp_path)] == ["speed-clients.svg", "speed-latency.svg"]
    assert before.read_text() == "as before"
    assert "speed-cost.svg: no figures of cost" in capsys.readouterr().err


def test_the_plots_of_the_page_have_their_figures_beside_them() -> None:
    page = (ROOT / "docs/explanation/speed.md").read_text(encoding="utf-8")
    shown = {part.part for path in SHOWN.glob("*.json") for part in read_record(path).parts}
    for name, part in (("clients", "commands"), ("latency", "commands"), ("cost", "cost"), ("growth", "growth")):
        picture = f"speed-{name}.svg"
        assert (picture in page) == (ROOT / "docs/explanation" / picture).exists() == (part in shown), picture


def test_the_folder_of_the_plots_is_made_and_a_file_in_its_place_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.plots", "--to", str(tmp_path / "new" / "folder")])
    main()
    assert (tmp_path / "new" / "folder" / "speed-cost.svg").exists()
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["bench.plots", "--to", str(tmp_path / "file")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
