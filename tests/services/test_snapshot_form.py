"""How a state is kept: whole, and for the code that folded it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import held
from core.domain.decider import SnapshotForm
from core.domain.inventory import INVENTORY, Stock, StockSnapshot
from core.domain.order import ORDER
from core.domain.payment import PAYMENT
from core.services.snapshots import EVERY, decode, encode, schema_hash, spacing
from tests.support.stock import MOVES, Move, history, receipts

assert INVENTORY.snapshot
FORM: SnapshotForm[Stock, StockSnapshot] = INVENTORY.snapshot


@given(MOVES, st.integers(0, 120), st.sampled_from([0, 9, 1_000]))
def test_folding_on_from_any_snapshot_is_the_full_fold(moves: list[Move], cut: int, few: int) -> None:
    usual, held.FEW = held.FEW, few
    try:
        events = history(moves)
        then = INVENTORY.fold(events[:cut])
        kept = decode(FORM, encode(FORM, then))
        assert kept == then
        assert INVENTORY.fold(events[cut:], kept) == INVENTORY.fold(events)
    finally:
        held.FEW = usual


WHOLE = '{"known":true,"available":5,"held":{"00000000-0000-0000-0000-000000000001":2}}'


def test_a_whole_state_is_read() -> None:
    assert encode(FORM, decode(FORM, WHOLE)) == WHOLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "garbage",
        WHOLE[:-1],
        WHOLE + WHOLE,
        WHOLE.replace("5", "-5"),
        WHOLE.replace("5", "5.5"),
        WHOLE.replace(":2", ":0"),  # held is what is held of: 0 would be gone
        WHOLE.replace("0001", "001"),
        WHOLE.replace('"known":true,', ""),
        WHOLE.replace("{", '{"reserved":1,', 1),
    ],
)
def test_what_is_not_a_whole_state_is_not_read(text: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(FORM, text)


def test_only_streams_that_grow_long_are_kept() -> None:
    assert [decider.category for decider in (ORDER, INVENTORY, PAYMENT) if decider.snapshot] == ["inventory"]


def test_a_large_state_is_kept_less_often() -> None:
    small = encode(FORM, INVENTORY.fold(receipts(1)))
    large = encode(FORM, INVENTORY.fold(history([("receive", 0, 9)] * 999 + [("reserve", n, 1) for n in range(999)])))
    assert spacing(small) == EVERY
    assert EVERY + 50 < spacing(large) < EVERY + 500, "a fraction of the reservations in it"


# --- which code may read it ---------------------------------------------------------------------------------
RULES = """
from dataclasses import dataclass
from msgspec import Struct
from shop import words
from shop.sums import add

class Kept(Struct):
    total: int

def evolve(state, event):
    return add(state, event)  # COMMENT
"""
SUMS = "def add(a, b):\n    return a + b\n"


class Shop:
    """A package of its own with a fold in it, that can be released again with other sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {"__init__": "", "rules": RULES, "sums": SUMS, "words": "HELLO = 'hello'\n", "other": "X = 1\n"}

    def hash(self, **changed: str) -> bytes:
        for name, text in {**self.files, **changed}.items():
            (self.folder / f"{name}.py").write_text(text, encoding="utf-8")
        self.unload()
        importlib.import_module("shop.other")
        rules: ModuleType = importlib.import_module("shop.rules")
        form = SnapshotForm(rules.Kept, lambda state: state, lambda kept: kept)
        return schema_hash(replace(INVENTORY, evolve=rules.evolve, snapshot=form))

    def unload(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]
        importlib.invalidate_caches()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two releases within a second look the same to a cache
    shop = Shop(folder)
    yield shop
    shop.unload()


def test_a_changed_fold_is_another_code_though_the_shape_is_the_same(shop: Shop) -> None:
    first = shop.hash()
    assert shop.hash(rules=RULES.replace("add(state, event)", "add(state, 2 * event)")) != first
    assert shop.hash(sums=SUMS.replace("a + b", "a - b")) != first, "what the fold calls is part of it"
    assert shop.hash(words="HELLO = 'good evening'") != first, "also what is imported as a module"
    assert shop.hash(rules=RULES.replace("total: int", "total: float")) != first
    assert shop.hash() == first


def test_what_cannot_change_a_state_does_not_cost_the_snapshots(shop: Shop) -> None:
    first = shop.hash()
    assert shop.hash(rules=RULES.replace("COMMENT", "said better")) == first
    assert shop.hash(other="X = 2\n") == first
