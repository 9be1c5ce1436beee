"""How a state is kept: as a whole, and for releases that fold the same way."""

from __future__ import annotations

import importlib
import json
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import domain
from core.domain import held
from core.domain.decider import Decider, SnapshotForm
from core.domain.inventory import INVENTORY, Stock, StockReplenished, StockSnapshot
from core.domain.order import ORDER
from core.domain.payment import PAYMENT
from core.services.snapshots import EVERY, decode, encode, schema_hash, spacing
from tests.support.fold_shape import Symbol, fingerprint, fold_of, our_source, roots
from tests.support.stock import MOVES, Move, history, receipts

assert INVENTORY.snapshot
FORM: SnapshotForm[Stock, StockSnapshot] = INVENTORY.snapshot


@given(MOVES, st.integers(0, 120), st.sampled_from([0, 9, 1_000]))
def test_folding_the_remaining_events_into_any_snapshot_equals_the_full_fold(
    moves: list[Move], cut: int, few: int
) -> None:
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


def test_a_text_of_a_complete_state_is_read() -> None:
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
        WHOLE.replace(":2", ":0"),  # a reservation of nothing is not in a state
        WHOLE.replace("0001", "001"),
        WHOLE.replace('"known":true,', ""),
        WHOLE.replace("{", '{"reserved":1,', 1),
    ],
)
def test_a_text_that_is_not_a_complete_state_is_refused(text: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(FORM, text)


def test_only_the_streams_of_skus_have_snapshots() -> None:
    assert [decider.category for decider in (ORDER, INVENTORY, PAYMENT) if decider.snapshot] == ["inventory"]


def test_a_snapshot_of_a_large_state_is_taken_less_often() -> None:
    small = encode(FORM, INVENTORY.fold(receipts(1)))
    large = encode(FORM, INVENTORY.fold(history([("receive", 0, 9)] * 999 + [("reserve", n, 1) for n in range(999)])))
    assert spacing(small) == EVERY
    assert EVERY + 50 < spacing(large) < EVERY + 500, "a fraction of the reservations in it"


# --- which release may read it ------------------------------------------------------------------------------
class Other(msgspec.Struct):
    total: int


def test_the_hash_of_a_snapshot_follows_from_its_revision_shape_category_and_event_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = schema_hash(INVENTORY)
    others = [
        replace(INVENTORY, snapshot=replace(FORM, revision=FORM.revision + 1)),
        replace(INVENTORY, snapshot=replace(FORM, stored=Other)),
        replace(INVENTORY, category="shelf"),
    ]
    hashes = {ours, *map(schema_hash, others)}
    monkeypatch.setattr(StockReplenished, "schema_version", 2)
    assert len(hashes | {schema_hash(INVENTORY)}) == 5


def test_the_hash_of_a_snapshot_does_not_depend_on_the_code_of_the_fold() -> None:
    """So a release that changes no fold leaves all snapshots in use; a changed fold has a new revision, see below."""
    assert schema_hash(replace(INVENTORY, evolve=lambda stock, _: stock)) == schema_hash(INVENTORY)


# --- when the revision must be raised -----------------------------------------------------------------------
FORMS = Path(__file__).resolve().parents[1] / "data" / "snapshot_forms.json"


def long_lived() -> dict[str, Decider[Any, Any, Any]]:
    """Every decider of the domain that has snapshots, by category."""
    modules = [importlib.import_module(f"core.domain.{each.name}") for each in pkgutil.iter_modules(domain.__path__)]
    values = [value for module in modules for value in vars(module).values() if isinstance(value, Decider)]
    return {decider.category: decider for decider in values if decider.snapshot}


def test_a_fold_whose_code_changed_has_a_new_revision() -> None:
    recorded: dict[str, dict[str, str]] = json.loads(FORMS.read_text(encoding="utf-8"))
    assert set(recorded) == set(long_lived()), f"{FORMS.name} has one entry for each decider with snapshots"
    for category, decider in long_lived().items():
        assert decider.snapshot
        revision, fold = decider.snapshot.revision, fingerprint(decider)
        assert recorded[category].get(str(revision)) == fold, (
            f"The fold of {category} is not the one that was recorded for revision {revision}. Snapshots in running"
            f" databases were made by that one. Raise `revision` of the SnapshotForm in {decider.evolve.__module__},"
            f' and add "<the new revision>": "{fold}" to "{category}" in tests/data/{FORMS.name}. Only when the same'
            f" events still fold into the same state (a name was changed), replace the text of revision {revision}."
        )
        assert max(map(int, recorded[category])) == revision, f"the revision of {category} only rises"


def test_the_fold_of_stock_uses_code_of_three_modules() -> None:
    """So a change to any other, such as `errors.py`, asks for no new revision."""
    used = fold_of(roots(INVENTORY), our_source)
    assert {module for module, _ in used} == {"core.domain.inventory", "core.domain.held", "core.domain.message"}
    assert {name for module, name in used if module == "core.domain.held"} == {"Held", "FEW"}
    assert ("core.domain.inventory", "StockReplenished") in used
    assert ("core.domain.message", "Event") in used
    assert ("core.domain.inventory", "decide") not in used


SHOP = {
    "shop.rules": '''
from msgspec import Struct
from shop.sums import add
from shop import words
from shop.other import greet

LEAST = 0

class Sold(Struct, tag="Sold"):
    """What was sold."""
    quantity: int

class State(Struct):
    total: int = 0

class Kept(Struct):
    total: int

def evolve(state, event):
    match event:
        case Sold(quantity=quantity):
            return State(max(LEAST, add(state.total, words.sign(quantity))))  # COMMENT

def save(state):
    return Kept(total=state.total)

def restore(kept):
    return State(kept.total)

def decide(command, state):
    return greet()
''',
    "shop.sums": "STEP = 1\ndef add(a, b):\n    return a + b * STEP\ndef other():\n    return 1\n",
    "shop.words": "def sign(a):\n    return -a\n",
    "shop.other": "def greet():\n    return 'hello'\n",
}


def fold_with(module: str = "shop.rules", old: str = "", new: str = "") -> dict[Symbol, str]:
    """The fold of a shop in which one text of one module is another."""
    assert old in SHOP[module]
    changed = {**SHOP, module: SHOP[module].replace(old, new)}
    return fold_of([("shop.rules", name) for name in ("evolve", "save", "restore", "Kept", "State")], changed.get)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("shop.rules", "max(", "min("),
        ("shop.rules", "LEAST = 0", "LEAST = 1"),
        ("shop.rules", "quantity: int", "quantity: int = 1"),
        ("shop.rules", 'tag="Sold"', 'tag="SoldOut"'),
        ("shop.rules", "total: int = 0", "total: int = 1"),
        ("shop.rules", "class Kept(Struct):\n    total: int", "class Kept(Struct):\n    total: float"),
        ("shop.rules", "Kept(total=state.total)", "Kept(total=state.total + 1)"),
        ("shop.rules", "State(kept.total)", "State(kept.total - 1)"),
        ("shop.sums", "a + b", "a - b"),
        ("shop.sums", "STEP = 1", "STEP = 2"),
        ("shop.words", "-a", "a"),
    ],
)
def test_the_fingerprint_of_a_fold_changes_with_code_that_the_fold_uses(module: str, old: str, new: str) -> None:
    assert fold_with(module, old, new) != fold_with()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("shop.rules", "COMMENT", "said better"),
        ("shop.rules", "What was sold.", "How many pieces were sold."),
        ("shop.rules", "max(LEAST, add(", "max(\n        LEAST, add("),
        ("shop.rules", "return greet()", "return [greet()]"),
        ("shop.sums", "return 1", "return 2"),
        ("shop.other", "hello", "good evening"),
    ],
)
def test_the_fingerprint_of_a_fold_does_not_change_with_code_that_the_fold_does_not_use(
    module: str, old: str, new: str
) -> None:
    assert fold_with(module, old, new) == fold_with()
