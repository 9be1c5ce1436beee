"""The shipped tables: each is as it was released, says all that it must, and is in the documentation."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import core.sagas
from core.domain.message import Event
from core.sagas import SAGAS, actions, ended_before, refund_actions
from core.sagas.progress import SagaStatus
from core.sagas.saga import Action, Holding, Nothing, Saga, Step, newest
from tests.support.sample_saga import BUYS, RETURNS, RETURNS_FOR_EVER, SENDS

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "tests/data/sagas"
NAMED = {
    id(value): name
    for module in (actions, refund_actions)
    for name, value in vars(module).items()
    if isinstance(value, Action)
}
OTHER = "an action that is in neither core/sagas/actions.py nor core/sagas/refund_actions.py"
EACH = [pytest.param(saga, id=f"{saga.name}.{saga.definition}") for saga in SAGAS.values()]


def step_lines(saga: Saga) -> Iterator[str]:
    for step in saga.steps:
        within = "" if step.within is None else f" within {step.within}"
        yield f"{step.name}: {NAMED.get(id(step.do), OTHER)}, undone by {NAMED.get(id(step.undo), OTHER)}{within}"
        yield from (f"  holds {words(step.holds)}" for _ in [0] if step.holds)
        yield from (f"  owes {words(step.owes)}" for _ in [0] if step.owes)


def words(holding: Holding) -> str:
    settled = f", unless the order is {holding.settled_by}" if holding.settled_by else ""
    return f"{holding.what}: {holding.words}{settled}"


def name_of(event: type[Event] | None) -> str:
    return event.__name__ if event else "nothing"


def text_of(saga: Saga) -> str:
    """A table in words, one line for each thing that it says."""
    lines = [
        f"{saga.name}, definition {saga.definition}",
        f"starts on {name_of(saga.starts_on)}, after {saga.after or 'nothing'}, before {name_of(saga.before)}",
        f"forward only: {saga.forward_only}, undoes: {saga.undoes}, turned back: {saga.turn_back}",
        *step_lines(saga),
        *(
            f"ends {end.status}: order {'|'.join(end.orders)}, payment {'|'.join(end.payments)}, stock {end.stock_held}"
            for end in saga.ends
        ),
    ]
    return "\n".join(lines) + "\n"


# --- as they were released ----------------------------------------------------------------------------------
@pytest.mark.parametrize("saga", EACH)
def test_the_table_of_a_released_saga_is_never_edited(saga: Saga) -> None:
    path = RELEASED / f"{saga.name}.{saga.definition}.txt"
    released = path.read_text(encoding="utf-8") if path.exists() else ""
    text = text_of(saga)
    assert text == released, (
        f"if {saga.name} {saga.definition} is released, restore it: its instances finish on it; then change a copy "
        f"that has the next definition; if it is new, write these lines to {path.relative_to(ROOT)}:\n{text}"
    )


def test_the_table_of_a_released_saga_is_never_removed() -> None:
    missing = {path.stem for path in RELEASED.iterdir()} - {f"{name}.{number}" for name, number in SAGAS}
    assert missing == set(), "instances on these may be under way: put their tables back into TABLES of their files"


def test_every_table_in_the_code_is_registered() -> None:
    modules = [importlib.import_module(f"core.sagas.{each.name}") for each in pkgutil.iter_modules(core.sagas.__path__)]
    written = [value for module in modules for value in vars(module).values() if isinstance(value, Saga)]
    forgotten = {f"{saga.name} {saga.definition}" for saga in written if saga not in SAGAS.values()}
    assert forgotten == set(), "add it to TABLES of its file, and that to SAGAS in core/sagas/__init__.py"
    count = sum(len(module.TABLES) for module in modules if hasattr(module, "TABLES"))
    assert len(SAGAS) == count, "two tables have one name and definition: raise the definition of the newer one"


# --- what each must say -------------------------------------------------------------------------------------
@pytest.mark.parametrize("saga", EACH)
def test_every_step_of_a_saga_says_what_it_may_leave_open(saga: Saga) -> None:
    assert len({step.name for step in saga.steps}) == len(saga.steps) > 0
    assert saga.step(saga.steps[-1].name) is saga.steps[-1]
    for step in saga.steps:
        if saga.forward_only or saga.undoes:
            assert step.owes, f"what is open until {step.name} is done?"
        if not isinstance(step.undo, Nothing):
            assert step.holds, f"what is open until {step.name} is undone?"


@pytest.mark.parametrize("saga", EACH)
def test_every_step_of_a_saga_tells_a_person_what_it_does_and_what_undoes_it(saga: Saga) -> None:
    for step in saga.steps:
        for action in (step.do, step.undo):
            assert re.fullmatch(r"[a-z][a-z ]{6,50}", action.words), f"{step.name}: {action.words!r}"
            assert (action.words == "nothing to do") == isinstance(action, Nothing)


@pytest.mark.parametrize("saga", EACH)
def test_every_step_has_a_time_limit_unless_its_saga_is_tried_for_ever_or_undoes(saga: Saga) -> None:
    for step in saga.steps:
        if not isinstance(step.do, Nothing):
            tried_for_ever = saga.forward_only or saga.undoes
            assert (step.within is None) == tried_for_ever, f"how long is {step.name} tried, at least?"


@pytest.mark.parametrize("saga", EACH)
def test_every_end_of_a_saga_says_which_statuses_the_order_may_have(saga: Saga) -> None:
    goes_back = any(not isinstance(step.undo, Nothing) for step in saga.steps)
    expected = {SagaStatus.COMPLETED} | ({SagaStatus.COMPENSATED} if goes_back else set())
    assert {end.status for end in saga.ends} == expected, "verify judges orders by these"


def test_no_two_sagas_start_on_the_same_event_and_each_names_only_existing_sagas() -> None:
    now = newest(SAGAS)
    assert len({saga.starts_on for saga in now.values()}) == len(now), "the runner starts one saga for an event"
    assert {saga.after for saga in SAGAS.values() if saga.after} <= set(now)
    for event in {saga.before for saga in now.values() if saga.before}:
        assert [saga.name for saga in now.values() if saga.before is event] == [ended_before(event)]


def test_the_newest_table_is_the_one_with_the_highest_definition_in_any_order_of_the_registry() -> None:
    tables = [RETURNS, BUYS, RETURNS_FOR_EVER]
    for order in (tables, tables[::-1]):
        known = {(saga.name, saga.definition): saga for saga in order}
        assert newest(known) == {"buys": BUYS, "returns": RETURNS}


def test_the_deadline_of_a_saga_is_the_sum_of_its_steps_times_if_all_have_one() -> None:
    assert BUYS.deadline == timedelta(minutes=6)
    assert SENDS.deadline is None
    assert RETURNS.deadline is None
    idle = Step("s", actions.nothing, actions.nothing, None)
    assert Saga("idle", 1, Event, (idle,)).deadline == timedelta()


# --- in the documentation -----------------------------------------------------------------------------------
def test_the_readme_has_every_saga_with_its_steps_in_their_order() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, saga in newest(SAGAS).items():
        row = re.search(rf"^\| `{name}` \|.*?\|(.*)\|$", readme, re.MULTILINE)
        assert row, f"README.md has a row for {name} in its table of sagas"
        places = [row[1].find(step.name) for step in saga.steps]
        assert -1 not in places, f"the row of {name} in README.md names every step"
        assert places == sorted(places), f"the row of {name} in README.md names its steps in their order"
