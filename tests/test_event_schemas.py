"""The JSON Schemas of events say what is stored, and a change that a reader would not bear needs a new version."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
from msgspec import Meta

from core.codec import EVENTS, event_type
from core.domain.message import Event
from core.event_schemas import event_schemas, message_schema
from core.upcasters import Split
from tests.support.event_schemas import SUMS, file_name, problems, write
from tests.support.pinned import PINNED
from tests.support.recorded_log import EVENTS as OLD_LOG
from tests.support.stored_events import stored_events

DATA = Path(__file__).parent / "data"


def validator(schema: Any) -> jsonschema.Draft202012Validator:
    plain = json.loads(msgspec.json.encode(schema))
    jsonschema.Draft202012Validator.check_schema(plain)
    return jsonschema.Draft202012Validator(plain)


# --- the schemas of this release ----------------------------------------------------------------------------------
def test_the_files_say_what_the_types_say_and_every_older_version_can_be_read() -> None:
    assert problems() == []


def test_every_version_of_every_event_has_its_schema_and_one_of_each_is_recorded() -> None:
    known = event_schemas()
    assert {form for form, one in known.items() if one.recorded} == {(event_type(k), k.schema_version) for k in EVENTS}
    assert {file_name(form) for form in known} == {path.name for path in (DATA / "golden").iterdir()}


@pytest.mark.parametrize("form", event_schemas(), ids=file_name)
def test_what_is_stored_of_every_version_fits_its_schema_and_an_empty_payload_does_not(form: tuple[str, int]) -> None:
    checks = validator(event_schemas()[form].schema)
    checks.validate(json.loads((DATA / "golden" / file_name(form)).read_text(encoding="utf-8")))
    assert not checks.is_valid({})
    for stored in OLD_LOG:
        if (stored.event_type, stored.schema_version) == form:
            checks.validate(json.loads(stored.payload))


def test_the_schema_of_one_version_refuses_the_payloads_of_another() -> None:
    first, second = (event_schemas()["OrderCreated", version].schema for version in (1, 2))
    samples = [json.loads((DATA / "golden" / f"OrderCreated.v{n}.json").read_text(encoding="utf-8")) for n in (1, 2)]
    assert [validator(first).is_valid(sample) for sample in samples] == [True, False]
    assert [validator(second).is_valid(sample) for sample in samples] == [False, True]


def test_a_whole_message_fits_the_schema_of_its_version() -> None:
    for stored in [*stored_events(PINNED), *OLD_LOG]:
        checks = validator(message_schema(event_schemas()[stored.event_type, stored.schema_version]))
        message = json.loads(stored.envelope("stored").encode())
        checks.validate(message)
        assert not checks.is_valid({**message, "event_version": stored.schema_version + 1})
        assert not checks.is_valid({**message, "payload": {}})


# --- changes of an event ------------------------------------------------------------------------------------------
class Part(msgspec.Struct):
    size: int
    colour: str = ""


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    size: int
    colour: str = ""


class Narrow(msgspec.Struct):
    size: int


def kind(version: int, name: str = "Packed", **fields: Any) -> type[Event]:
    """A type of events with these fields; of a field that is a pair, the second is its default."""
    members = [(each, *(of if isinstance(of, tuple) else (of,))) for each, of in fields.items()]
    namespace = {"schema_version": version}
    made: Any = msgspec.defstruct(
        name, members, bases=(Event,), tag=name, kw_only=True, frozen=True, namespace=namespace
    )
    return made


BEFORE: dict[str, Any] = {"parcel": str, "weight": int, "note": (str, ""), "parts": list[Part], "way": Literal["air"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, [kind(1, **BEFORE)])
    return tmp_path


def said(folder: Path, kinds: list[type[Event]], steps: Any = None) -> str:
    return "\n".join(problems(folder, kinds, steps or {}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weight": str}, 'weight was {"type": "integer"} and is {"type": "string"}'),
        ({"weight": int | None}, "weight was"),
        ({"weight": (int, 0)}, "weight may be left out now"),
        ({"note": (str, "none")}, 'note without a value was "" and is "none"'),
        ({"note": str}, "note has no default any more"),
        ({"note": None}, "note is gone"),
        ({"height": int}, "height is new and has no default"),
        ({"way": Literal["air", "sea"]}, "way was"),
        ({"parts": list[str]}, "parts[] was"),
        ({"parts": Annotated[list[Part], Meta(max_length=2)]}, 'parts was {"type": "array"} and is'),
        (
            {"parts": list[Closed]},
            'parts[] was {"type": "object"} and is {"type": "object", "additionalProperties": false}',
        ),
        ({"parts": list[Narrow]}, "parts[].colour is gone"),
    ],
)
def test_a_change_that_breaks_readers_needs_a_new_version(folder: Path, change: dict[str, Any], sentence: str) -> None:
    fields: dict[str, Any] = {name: of for name, of in (BEFORE | change).items() if of is not None}
    changed = kind(1, "Packed", **fields)
    text = said(folder, [changed])
    assert sentence in text
    assert "Raise its schema_version to 2 and add a step from ('Packed', 1) to core/upcasters.py" in text
    kept = (folder / "Packed.v1.json").read_bytes()
    write(folder, [changed])
    assert (folder / "Packed.v1.json").read_bytes() == kept, "the command that writes schemas hides no such change"


def test_a_new_field_with_a_default_is_written_into_the_schema(folder: Path) -> None:
    grown = kind(1, **BEFORE, height=(int, 0))
    assert "run python -m tests.support.event_schemas" in said(folder, [grown])
    write(folder, [grown])
    assert said(folder, [grown]) == ""


def test_a_new_version_needs_its_file_and_a_step_from_the_one_before(folder: Path) -> None:
    newer, step = kind(2, "Packed", **(BEFORE | {"weight": str})), {("Packed", 1): lambda stored: stored}
    assert "Packed.v2.json is missing" in said(folder, [newer], step)
    write(folder, [newer])
    assert "version 1 of Packed cannot be read: add a step" in said(folder, [newer])
    assert said(folder, [newer], step) == ""
    (folder / "Packed.v1.json").write_text("{}", encoding="utf-8")
    assert "Packed.v1.json has been edited" in said(folder, [newer], step)
    (folder / SUMS).unlink()
    assert f"Packed.v1.json has no line in {SUMS}" in said(folder, [newer], step)
    (folder / "Packed.v1.json").unlink()
    assert "Packed.v1.json is gone" in said(folder, [newer], step)
    assert "a version is never taken back" in said(folder, [kind(1, **BEFORE)], step)


def test_a_type_that_is_no_longer_recorded_needs_a_step_to_those_that_are(folder: Path) -> None:
    other = kind(1, "Sent", parcel=str)
    write(folder, [other])
    assert "Packed is no longer recorded, but logs have it" in said(folder, [other])
    assert said(folder, [other], {("Packed", 1): Split((("Sent", 1),), lambda _: [])}) == ""
    astray = {("Packed", 1): Split((("Lost", 1),), lambda _: [])}
    assert "leads to [('Lost', 1)], which is not recorded" in said(folder, [other], astray)


def test_make_check_fails_with_the_sentence(tmp_path: Path) -> None:
    script = """
import sys
from core.domain.inventory import StockAdjusted
StockAdjusted.schema_version = 2
from tests.support.event_schemas import main
sys.argv = ["check", "--check"]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "events: version 1 of StockAdjusted cannot be read: add a step from ('StockAdjusted', 1) to core/upcasters.py",
        "events: StockAdjusted.v2.json is missing: run python -m tests.support.event_schemas",
        "events: StockAdjusted.v1.json has no line in checksums.txt: run python -m tests.support.event_schemas",
    ]
    assert "event_schemas --check" in (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
