"""The recipe works on a copy of the repository: the changed event is recorded, and what was stored before is read."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recipes.event_version.recipe import EDITS, STEP
from tests.recipes.repository_copy import Copy, copied

ROOT = Path(__file__).parents[3]
CHECK = ("tests.support.event_schemas", "--check")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    with copied(tmp_path_factory.mktemp("changed")) as copy:
        for edit in EDITS:
            if edit not in STEP:
                edit.apply(copy.root)
        yield copy


def said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


def test_the_recipe_is_checked_before_its_schema_is_written_and_before_its_step_is_there(copy: Copy) -> None:
    assert "OrderDelivered.v2.json is missing" in said(copy.run(*CHECK))
    assert "add a step from ('OrderDelivered', 1) to core/upcasters.py" in said(copy.run("tests.support.event_schemas"))
    for edit in STEP:
        edit.apply(copy.root)
    assert said(copy.run(*CHECK)) == ""


def test_a_copy_with_the_recipe_records_the_new_version_and_reads_the_old_one(copy: Copy) -> None:
    done = copy.test(
        "tests/test_codec.py",
        "tests/test_recorded_log.py::test_the_views_are_those_that_the_release_of_then_had",
        "tests/test_docs.py::test_the_reference_has_every_event_with_its_fields",
    )
    assert done.returncode == 0, said(done)
    lint = copy.run("ruff", "check", "--no-cache", *{edit.file for edit in EDITS if edit.file.endswith(".py")})
    assert lint.returncode == 0, said(lint)


def test_readme_and_the_how_to_name_every_file_of_the_recipe() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {edit.file.replace("OrderDelivered", "NAME") for edit in EDITS} | {"docs/reference/schemas/NAME.v2.json"}
    assert {file for file in named if f"`{file}`" not in readme} == set()
    how_to = (ROOT / "docs/how-to/change-an-event.md").read_text(encoding="utf-8")
    assert 'return {**stored, "arrived_at": stored["delivered_at"]}' in how_to
