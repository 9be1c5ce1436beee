"""The comparison of two benches: a made difference is seen, noise is not, and files that are none are refused."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.figures import Row, figures
from bench.paired import compare
from bench.parts import MILLION, PARTS
from bench.record import UnreadableRecord, read_record
from bench.turns import compare_with, take_out

PAIRS = 10
# A bench as an older release had it: its JSON does not tell the parts apart. RATE is what it measures.
OLD_BENCH = """
import json, sys
rows = [{"what": "POST", "data": {"rate": RATE, "p99_ms": 5.0, "clients": 8}}]
open(sys.argv[-1], "w").write(json.dumps({"rows": rows}))
"""


def verdicts(ratio: float, tries: int) -> list[str]:
    """Of rates that differ by this ratio, while the machine makes single ones slower or faster by a fifteenth."""
    rng = random.Random(5)
    found: list[str] = []
    for _ in range(tries):
        old, new = ([1_000 * each * rng.gauss(1, 0.07) for _ in range(PAIRS)] for each in (1, ratio))
        found.append(compare(old, new, more_is_better=True).verdict)
    return found


def test_a_fifth_more_is_seen_through_noise() -> None:
    assert verdicts(1.2, 200).count("better") > 180
    assert verdicts(1 / 1.2, 200).count("worse") > 180


def test_noise_alone_is_called_better_or_worse_about_once_in_a_hundred_times() -> None:
    assert verdicts(1, 1_000).count("no difference seen") > 980


def test_less_time_is_better_and_more_is_worse() -> None:
    slow, fast = [10 + n / 10 for n in range(PAIRS)], [8 + n / 10 for n in range(PAIRS)]
    assert compare(slow, fast, more_is_better=False).verdict == "better"
    assert compare(fast, slow, more_is_better=False).verdict == "worse"


def test_the_interval_of_eight_pairs_is_from_the_least_ratio_to_the_greatest_and_fewer_have_none() -> None:
    new = [1.1, 1.3, 0.9, 1.2, 1.15, 1.4, 1.25, 1.05]
    found = compare([1.0] * 8, new, more_is_better=True)
    assert (found.low, found.high) == (pytest.approx(0.9), pytest.approx(1.4))
    with pytest.raises(ValueError, match="7 pairs are too few"):
        compare([1.0] * 7, new[:7], more_is_better=True)


def test_one_pair_that_another_program_disturbed_hides_no_difference_of_twelve() -> None:
    new = [1.2 + n / 100 for n in range(11)]
    assert compare([1.0] * 12, [*new, 0.97], more_is_better=True).verdict == "better"


def test_figures_are_those_of_which_more_or_less_is_better() -> None:
    rows = [
        Row("POST, 8 clients", {"clients": 8, "rate": 900.0, "p99_ms": 4.0, "statuses": {"201": 7}}),
        Row("with keys", {"cpu": {"bare": [300.0, 320.0, 310.0]}, "ratio": 0.9}, 0.9, ">= 0.8x"),
        Row("two APIs / 1", {}, 1.5),
        Row("nothing was sent", {"rate": 0}),
    ]
    found = {name: (each.value, each.more_is_better) for name, each in figures("guarded", rows).items()}
    assert found == {
        "POST, 8 clients: rate": (900.0, True),
        "POST, 8 clients: p99_ms": (4.0, False),
        "with keys: cpu bare": (310.0, False),
        "with keys": (0.9, True),
    }


def test_what_the_deck_sends_to_the_terminal_is_better_when_it_is_less() -> None:
    assert not figures("deck", [Row("bytes", {"rate": 40.0})])["bytes: rate"].more_is_better


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 100_000, '"7ba7076"', "{}", '{"rows": []}', '{"parts": 3}', '{"rows": [{"data": {}}]}',
     '{"rows": [{"what": "a"}], "commit": "--output=/tmp/x"}', '{"rows": [{"what": "a"}], "commit": 3}', "\udcff"],
)  # fmt: skip
def test_a_file_that_no_bench_has_written_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "old.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UnreadableRecord) as refused:
        read_record(file)
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such file"),
        ({"rows": [{"what": "a"}]}, "names no commit"),
        ({"commit": "0123456789", "rows": [{"what": "a"}]}, "says not which parts"),
        ({"commit": "0123456789", "parts": [{"part": "cost", "rows": []}]}, "commit 0123456789 is not in this repo"),
    ],
)
def test_compare_says_why_it_cannot_and_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: object, why: str
) -> None:
    file = tmp_path / "old.json"
    if content is not None:
        file.write_text(json.dumps(content))
    monkeypatch.setattr(sys, "argv", ["bench", "--compare", str(file), "--json", str(tmp_path / "new.json")])
    with pytest.raises(SystemExit) as ended:
        bench.main()
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert why in said


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With a commit of a bench that measures 100 a second; its files have one that measures 120."""
    folder = tmp_path / "repository"
    (folder / "bench").mkdir(parents=True)
    (program := folder / "bench" / "__main__.py").write_text(OLD_BENCH.replace("RATE", "100.0"))
    _git(folder, "init", "--quiet")
    _git(folder, "add", ".")
    _git(folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message=100")
    program.write_text(OLD_BENCH.replace("RATE", "120.0"))
    return folder


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607 - as installed


def test_the_commit_of_a_record_and_this_folder_are_measured_in_turns(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file := tmp_path / "old.json").write_text(
        json.dumps({"commit": _git(repository, "rev-parse", "HEAD"), "rows": [{"what": "a"}]})
    )
    result = tmp_path / "compared.json"
    assert compare_with(read_record(file), {"commands": ["--seconds", "1"]}, 8, result, root=repository) == 0
    written = json.loads(result.read_text())["parts"]["commands"]
    assert (written["POST: rate"]["verdict"], written["POST: rate"]["ratio"]) == ("better", pytest.approx(1.2))
    assert written["POST: p99_ms"]["verdict"] == "no difference seen"
    said = capsys.readouterr()
    assert "1.20x (1.20 to 1.20)  better" in said.out
    assert said.err.count("pair ") == 8


def test_a_part_that_the_old_commit_cannot_measure_is_told_and_the_others_are_measured(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "bench" / "__main__.py").write_text("import sys; sys.exit('there is no part cost')")
    (file := tmp_path / "old.json").write_text(
        json.dumps({"commit": _git(repository, "rev-parse", "HEAD"), "rows": [{"what": "a"}]})
    )
    assert compare_with(read_record(file), {"cost": []}, 8, tmp_path / "compared.json", root=repository) == 1
    assert "there is no part cost" in capsys.readouterr().err


def test_an_old_commit_gets_a_folder_with_its_own_files(repository: Path, tmp_path: Path) -> None:
    (folder := tmp_path / "old").mkdir()
    take_out(_git(repository, "rev-parse", "HEAD"), folder, repository)
    assert '"rate": 100.0' in (folder / "bench" / "__main__.py").read_text()


def test_every_part_has_a_file_a_row_on_the_page_and_a_length_and_longer_ones_only_by_flags() -> None:
    page = (Path(bench.__file__).parents[1] / "docs/explanation/speed.md").read_text(encoding="utf-8")
    for name, part in PARTS.items():
        assert f"\n| {name} {'* ' if part.named_only else ''}|" in page
        assert Path(bench.__file__).with_name(f"{name}.py").exists()
        assert part.length_of({}) == part.length
        assert part.length_of({"million": True}) == (part.million or part.length)
        assert part.length_of({part.option: 3, "ten_million": True}) == 3
    assert PARTS["growth"].length_of({"ten_million": True}) == 10 * MILLION
    assert PARTS["commands"].turn({}) == ["--seconds", "0.75"]
    assert PARTS["commands"].turn({"seconds": 4}) == ["--seconds", "4"]


@pytest.mark.parametrize("length", ["0", "-1", "nan", "inf"])
def test_a_length_is_more_than_nothing(
    length: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "commands", f"--seconds={length}"])
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code == 2
    assert f"not a length: {length}" in capsys.readouterr().err
