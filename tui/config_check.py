"""Checks a configuration file against the deck: its actions, columns, themes, and keys that stand for two actions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from textual.theme import BUILTIN_THEMES

from core.filters.order_language import parse
from core.filters.words import FilterError
from tui.action_table import PAST, ActionTable
from tui.config import DeckConfig
from tui.config_file import Mistake, WrongConfig, mistake_at, mistaken_names, read_config
from tui.dialogs.help import DIALOGS
from tui.keymap import Keymap, clashes
from tui.registry import VIEWS, everywhere
from tui.viewmodels.order_rows import COLUMNS


def check_config(path: Path) -> list[Mistake]:
    """Every mistake of the file; none when there is no file."""
    try:
        config, text = read_config(path)
    except WrongConfig as error:
        return list(error.mistakes)
    tables = _places()
    known = {
        "keymap": [table.id_of(action) for place in tables for table in place for action in table.actions],
        "columns": [column.name for column in COLUMNS],
        "theme": list(BUILTIN_THEMES),
    }
    keymap = Keymap(config.keymap)
    before = {sentence for place in tables for sentence in clashes(place)}
    now = [sentence for place in tables for sentence in clashes([keymap.applied(table) for table in place])]
    told = [Mistake(0, "keymap", sentence) for sentence in dict.fromkeys(now) if sentence not in before]
    return [*mistaken_names(config, text, known), *_mistaken_views(config, text), *told]


def _mistaken_views(config: DeckConfig, text: str) -> list[Mistake]:
    wrong: list[Mistake] = []
    for name, view in config.views.items():
        try:
            parse(view, datetime.now(UTC))
        except FilterError as error:
            wrong.append(mistake_at(("views", name), text, str(error)))
    return wrong


def _places() -> list[list[ActionTable]]:
    """The tables that are in force together: those of each view with those of everywhere, and each dialog's."""
    above = [everywhere(VIEWS), PAST]
    views = [[*getattr(entry.make, "tables", ()), *above] for entry in VIEWS]
    return [*views, *([table] for table in DIALOGS)]
