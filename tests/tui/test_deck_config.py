"""The deck's configuration file: what it may say, and how each mistake in it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.deck_harness import every_table
from tests.support.fake_gateway import FakeGateway
from tui.config import DeckConfig, config_path
from tui.config_check import check_config
from tui.config_file import LARGEST, Mistake, WrongConfig, mistaken_names, read_config, with_profile

GOOD = """
theme = "nord"
ascii = true
columns = ["order", "status"]

[keymap]
"orders.cancel" = "K,f9"

[views]
big = "min:1000"

[profiles.prod]
command_url = "https://desk.example:8080"
query_url = "https://desk.example:8081"
confirm = true

[profiles."far away"]
read_only = true
"""
KNOWN = {"keymap": ["orders.cancel", "orders.copy"], "columns": ["order", "status"], "theme": ["nord", "textual-dark"]}


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def mistakes(folder: Path, text: str | bytes) -> list[str]:
    path = written(folder, text)
    try:
        config, read = read_config(path)
    except WrongConfig as error:
        return [str(mistake) for mistake in error.mistakes]
    return [str(mistake) for mistake in mistaken_names(config, read, KNOWN)]


def test_the_file_is_where_xdg_says() -> None:
    assert config_path({"XDG_CONFIG_HOME": "/c"}) == Path("/c/orderdeck/config.toml")
    assert config_path({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == Path("/h/.config/orderdeck/config.toml")
    assert config_path({"HOME": "/h"}) == Path("/h/.config/orderdeck/config.toml")


def test_a_file_is_read_and_a_profile_adds_to_it(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    config, text = read_config(path)
    assert config.theme == "nord"
    assert config.keymap == {"orders.cancel": "K,f9"}
    assert mistaken_names(config, text, {**KNOWN}) == []
    chosen, profile = with_profile(config, "prod", path)
    assert (chosen.profile, chosen.confirm, chosen.read_only) == ("prod", True, False)
    assert profile.query_url == "https://desk.example:8081"
    assert with_profile(config, "far away", path)[0].read_only
    assert with_profile(config, "", path)[0] == config
    with pytest.raises(WrongConfig, match="there is no profile prd: there are prod, far away"):
        with_profile(config, "prd", path)


def test_without_a_file_there_are_the_defaults(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none.toml") == (DeckConfig(), "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nthem = 'x'\n", ["line 2: them is not known here: did you mean theme?"]),
        ("theme = 7", ["line 1: theme must be a text, not a whole number"]),
        ("ascii = 'yes'\nread_only = 1", [
            "line 1: ascii must be true or false, not a text",
            "line 2: read_only must be true or false, not a whole number",
        ]),
        ("theme = 'nrd'", ["line 1: theme nrd is the name of no theme: did you mean nord?"]),
        ("columns = ['order', 'stats']", ["line 1: columns stats is the name of no column: did you mean status?"]),
        ("columns = 'order'", ["line 1: columns must be a list of texts"]),
        ("[keymap]\n'orders.cancl' = 'x'", [
            "line 2: keymap.orders.cancl orders.cancl is the name of no action: did you mean orders.cancel?"
        ]),
        ("[keymap]\n'orders.cancel' = ''", ["line 2: keymap.orders.cancel must be keys, as in ctrl+k or K,f5"]),
        ("[keymap]\n'orders.cancel' = 'no key'", ["line 2: keymap.orders.cancel must be keys, as in ctrl+k or K,f5"]),
        ("[profiles.prod]\n\ncommand_url = 'desk'", [
            "line 3: profiles.prod.command_url must be an address, as in http://desk.example:8080"
        ]),
        ("[profiles.prod]\nqueryurl = 'http://x'", [
            "line 2: profiles.prod.queryurl is not known here: did you mean query_url?"
        ]),
        ("profiles = 3", ["line 1: profiles must be a table, not a whole number"]),
        ("[profiles]\nx = 1979-05-27", ["line 2: profiles.x must be a table, not a date"]),
        ("theme = ", ["line 1: Invalid value"]),
        ("a = 1\na = 2", ["line 2: Cannot overwrite a value"]),
        (b"\xff\xfe", ["it is not UTF-8"]),
        ("x" * (LARGEST + 1), [f"it is larger than {LARGEST:,} bytes"]),
        ("theme = '\x00'", ["line 1: Found invalid character '\\x00'"]),
        ("a = " + "[" * 20_000, ["it is nested too deep"]),
    ],
)  # fmt: skip
def test_each_mistake_is_a_sentence_with_its_line_and_key(text: str | bytes, told: list[str], tmp_path: Path) -> None:
    assert mistakes(tmp_path, text) == told


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongConfig, match="it cannot be read: Is a directory"):
        read_config(tmp_path)


def test_a_mistake_is_shown_without_control_characters() -> None:
    assert "\x1b" not in str(Mistake(1, "\x1b[31m", "is not known here"))


def test_every_action_has_an_id_of_its_own_that_the_keymap_can_name() -> None:
    ids = [table.id_of(action) for table in every_table() for action in table.actions]
    assert len(ids) == len(set(ids))
    assert FakeGateway.where  # the tables above are those of a deck on a gateway


def test_a_saved_view_with_a_wrong_filter_and_a_file_that_is_a_pipe_are_mistakes(tmp_path: Path) -> None:
    told = check_config(written(tmp_path, '[views]\nbig = "staus:created"\nfine = "min:10 age>2h"\n'))
    assert [str(mistake) for mistake in told] == ["line 2: views.big no field staus: did you mean status:?"]
    os.mkfifo(tmp_path / "pipe")
    assert "no file" in str(check_config(tmp_path / "pipe")[0])  # it does not wait for somebody to write
