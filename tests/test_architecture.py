"""docs/explanation/architecture.md names every folder and every layer, and none that does not exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
TOPS = ("core", "daemons", "tui", "migrations", "tests", "bench", "docs", "deploy")
MADE_BY_RUNS = {"results", "node_modules"}  # of the bench
HEADINGS = {
    ("core",): "Inside core",
    ("daemons",): "Inside daemons",
    ("tui",): "Inside the deck",
    (): "Between the packages",
}


def section(heading: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/explanation/architecture.md has no section {heading!r}"
    return found[1]


def drawn() -> list[str]:
    """The tree's folders, each with its path, in the order of the page."""
    paths: list[str] = []
    above: list[str] = []
    for indent, name in re.findall(r"^( *)([\w.-]+)/ +\S", section("The folders"), re.MULTILINE):
        above = [*above[: len(indent) // 2], name]
        paths.append("/".join(above))
    return paths


def folders() -> set[str]:
    """Every folder with a file in it; folders of caches and of results are not ours."""
    files = [path.relative_to(ROOT) for top in TOPS for path in (ROOT / top).rglob("*") if path.is_file()]
    return {
        str(folder)
        for file in files
        for folder in file.parents[:-1]
        if not any(part[0] in "._" or part in MADE_BY_RUNS for part in folder.parts)
    }


def contracts() -> list[dict[str, Any]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def test_the_tree_on_the_page_has_every_folder_once_and_no_other() -> None:
    assert sorted(drawn()) == sorted(folders()), "add it to the tree of docs/explanation/architecture.md, with a line"


def test_the_tables_of_layers_on_the_page_are_the_import_contracts() -> None:
    layered = {
        HEADINGS[tuple(contract.get("containers", ()))]: contract["layers"]
        for contract in contracts()
        if contract["type"] == "layers"
    }
    tables = {
        heading: [layer.replace("\\|", "|") for layer in re.findall(r"^\| `(.+?)` \|", section(heading), re.MULTILINE)]
        for heading in HEADINGS.values()
    }
    assert tables == layered, "docs/explanation/architecture.md and pyproject.toml differ"


def test_every_other_import_contract_is_on_the_page() -> None:
    others = [contract["name"] for contract in contracts() if contract["type"] != "layers"]
    assert re.findall(r"^- (.+)$", section("Besides"), re.MULTILINE) == others
