"""The recipe works on a copy of the repository, and whichever of its files a person forgets, a test names it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.recipes.event.recipe import EDITS, FILES
from tests.recipes.repository_copy import Copy, copied

ROOT = Path(__file__).parents[3]
MOST_FILES = 9
LONGEST_FILE = 300  # lines, as the house rules say

OUTCOMES = "tests/domain/test_outcomes.py"
CODEC = "tests/test_codec.py"
DOCS = "tests/test_docs.py"
PASSAGE = "    OrderNoted: Passage(tuple(status for status in Status if status is not Status.ABSENT), None),\n"
EVOLVE = "        case OrderNoted(note=note):\n            return replace(order, note=note)\n"
FORGOTTEN = [  # a file, or a text within one, that is forgotten: the test that fails, and words in what it says
    {
        "tests/domain/test_outcomes.py": (
            f"{OUTCOMES}::test_the_table_states_every_command_in_every_status",
            "NoteOrder",
        ),
        "tests/data/golden/OrderNoted.v1.json": (
            f"{CODEC}::test_every_event_type_has_a_stored_sample_and_every_sample_its_object",
            "OrderNoted.v1",
        ),
        "tests/daemons/test_order_note.py": (f"{DOCS}::test_every_command_is_called_in_a_test_over_http", "'note'"),
        "docs/reference/events.md": (f"{DOCS}::test_the_reference_has_every_event_with_its_fields", "OrderNoted"),
        "docs/reference/http-api.md": (f"{DOCS}::test_the_reference_has_every_operation", "/note"),
    },
    {
        "daemons/command_api/orders.py": (f"{DOCS}::test_the_reference_has_no_operation_that_does_not_exist", "/note"),
        "tests/support/pinned.py": (
            f"{CODEC}::test_every_event_type_has_a_stored_sample_and_every_sample_its_object",
            "OrderNoted.v1",
        ),
        EVOLVE: (f"{OUTCOMES}::test_a_command_that_was_accepted_records_nothing_the_second_time", "NoteOrder"),
    },
    {
        "daemons/command_api/shapes.py": (f"{DOCS}::test_the_reference_has_every_operation", "NoteBody"),
        PASSAGE: (f"{CODEC}::test_every_event_class_is_known_to_the_codec", "OrderNoted"),
    },
    {"core/domain/order.py": (OUTCOMES, "NoteOrder")},
]
"""In groups that one run can judge: what is forgotten in one hides nothing else that is."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    with copied(tmp_path_factory.mktemp("copy")) as copy:
        yield copy


def test_the_recipe_changes_few_files_and_readme_names_each_of_them() -> None:
    assert len(FILES) <= MOST_FILES
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {file.replace("OrderNoted", "NAME").replace("order_note", "NAME") for file in FILES}
    assert {file for file in named if f"`{file}`" not in readme} == set()
    assert set(FILES) <= set().union(*FORGOTTEN), "say which test names each file when it is forgotten"


def test_a_copy_with_the_whole_recipe_lets_a_caller_put_a_note_on_an_order_and_passes_every_check(copy: Copy) -> None:
    copy.edit(EDITS)
    named = {test for group in FORGOTTEN for test, _ in group.values()}
    done = copy.test("tests/daemons/test_order_note.py", *named)
    assert done.returncode == 0, done.stdout
    lint = copy.run("ruff", "check", "--no-cache", *(file for file in FILES if file.endswith(".py")))
    assert lint.returncode == 0, lint.stdout
    lengths = {file: len((copy.root / file).read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file for file, lines in lengths.items() if file.endswith(".py") and lines > LONGEST_FILE} == set()


@pytest.mark.parametrize("forgotten", FORGOTTEN, ids=lambda group: str(len(group)))
def test_a_test_names_any_file_of_the_recipe_that_is_forgotten(
    copy: Copy, forgotten: Mapping[str, tuple[str, str]]
) -> None:
    assert set(forgotten) <= {*FILES, *(edit.text for edit in EDITS)}
    copy.edit(EDITS, forget=forgotten)
    said = copy.test(*dict.fromkeys(test for test, _ in forgotten.values())).stdout
    for what, (test, words) in forgotten.items():
        assert re.search(rf"^(FAILED|ERROR) {re.escape(test)}", said, re.MULTILINE), f"{what}: {test} passes\n{said}"
        assert words in said, f"{what}: nothing says {words}\n{said}"
