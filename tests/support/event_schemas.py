"""Keeps docs/reference/schemas: `python -m tests.support.event_schemas` writes it, with `--check` it only compares.

Either refuses a change that readers would not understand, unless the event has a new schema version.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

from core.codec import EVENTS, event_type
from core.domain.message import Event
from core.event_schemas import FILES, schema_of
from core.upcasters import STEPS, StoredForm, leads_to

Json: TypeAlias = dict[str, Any]
WRITE = "python -m tests.support.event_schemas"
GUIDE = "docs/how-to/change-an-event.md"
NOTES = ("title", "description", "examples")  # what only people read
INSIDE = ("properties", "required", "items")  # what an object or a list has in it, which is compared one by one
SUMS = "checksums.txt"


def file_name(form: StoredForm) -> str:
    return "{}.v{}.json".format(*form)


def text_of(schema: Json) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


# --- what is wrong ------------------------------------------------------------------------------------------------
def problems(
    folder: Path = FILES, kinds: Iterable[type[Event]] = EVENTS, steps: Mapping[StoredForm, Any] = STEPS
) -> list[str]:
    """A sentence for each thing that keeps a reader from what is recorded or was recorded. Empty when all is well."""
    newest = {event_type(kind): kind for kind in kinds}
    forms = {_form(path) for path in folder.glob("*.v*.json")}
    found: list[str] = []
    for name, kind in newest.items():
        found += _of_type(folder, name, kind, forms, steps)
    for form in sorted(forms):
        name, version = form
        if name not in newest and form not in steps:
            found.append(
                f"{name} is no longer recorded, but logs have it: keep its class, or add a step from"
                f" {form} to core/upcasters.py that says as which events it counts now; see {GUIDE}"
            )
        elif name in newest and version > newest[name].schema_version:
            found.append(
                f"{name} is at schema_version {newest[name].schema_version}, but events of version {version} have been"
                f" recorded: a version is never taken back; raise it to {version} or more"
            )
    wanted = {(name, kind.schema_version) for name, kind in newest.items()}
    for form in sorted(steps):
        lost = set(leads_to(form, steps)) - wanted
        if lost:
            found.append(f"the step from {form} in core/upcasters.py leads to {sorted(lost)}, which is not recorded")
    return found + _edited(folder, forms - wanted)


def _of_type(
    folder: Path, name: str, kind: type[Event], forms: set[StoredForm], steps: Mapping[StoredForm, Any]
) -> Iterator[str]:
    for version in range(1, kind.schema_version):
        if (name, version) not in forms:
            yield f"{file_name((name, version))} is gone: events of it are in logs for ever, so bring the file back"
        if (name, version) not in steps:
            yield f"version {version} of {name} cannot be read: add a step from ({name!r}, {version}) to {STEPS_FILE}"
    form = (name, kind.schema_version)
    if form not in forms:
        yield f"{file_name(form)} is missing: run {WRITE}"
        return
    kept, now = json.loads((folder / file_name(form)).read_text(encoding="utf-8")), schema_of(kind)
    if broken := list(breaking(kept, now)):
        yield (
            f"{name} of schema version {kind.schema_version} has been recorded in another shape: {'; '.join(broken)}."
            f" Raise its schema_version to {kind.schema_version + 1} and add a step from {form} to {STEPS_FILE}, or"
            f" change only what readers need not know: a new field with a default; see {GUIDE}"
        )
    elif kept != json.loads(text_of(now)):
        yield f"{file_name(form)} does not say what {name} may have now, which readers can bear: run {WRITE}"


STEPS_FILE = "core/upcasters.py"


def breaking(kept: Json, now: Json) -> Iterator[str]:
    """Each change that a reader of the kept schema, or a reader of old events with the new one, would not bear."""
    yield from _differences(_resolved(kept, kept), _resolved(now, now), "")


def _differences(kept: Json, now: Json, place: str) -> Iterator[str]:
    if "properties" in kept and "properties" in now:
        for name in kept["properties"].keys() | now["properties"].keys():
            yield from _of_field(name, kept, now, f"{place}.{name}".removeprefix("."))
    elif "items" in kept and "items" in now:
        yield from _differences(kept["items"], now["items"], f"{place}[]")
    elif kept != now:
        yield f"{place} was {_short(kept)} and is {_short(now)}"
        return
    bounds = [{key: value for key, value in each.items() if key not in INSIDE} for each in (kept, now)]
    if bounds[0] != bounds[1]:
        yield f"{place or 'the payload'} was {_short(bounds[0])} and is {_short(bounds[1])}"


def _of_field(name: str, kept: Json, now: Json, place: str) -> Iterator[str]:
    was, is_ = name in kept.get("required", ()), name in now.get("required", ())
    if name not in now["properties"]:
        yield f"{place} is gone"
    elif name not in kept["properties"]:
        if is_:
            yield f"{place} is new and has no default"
    else:
        older, newer = dict(kept["properties"][name]), dict(now["properties"][name])
        defaults = _short(older.pop("default", None)), _short(newer.pop("default", None))
        if was != is_:
            yield f"{place} {'may be left out now' if was else 'has no default any more'}"
        elif defaults[0] != defaults[1]:
            yield f"{place} without a value was {defaults[0]} and is {defaults[1]}"
        yield from _differences(older, newer, place)


def _resolved(schema: Any, whole: Json) -> Any:
    """The schema with what it refers to in its place, and without what only people read."""
    if isinstance(schema, list):
        return [_resolved(each, whole) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    known = cast("Json", schema)
    if "$ref" in known:
        return _resolved(whole["$defs"][known["$ref"].rpartition("/")[2]], whole)
    return {
        key: {name: _resolved(each, whole) for name, each in value.items()}
        if key == "properties"
        else sorted(value)
        if key == "required"
        else _resolved(value, whole)
        for key, value in known.items()
        if key not in (*NOTES, "$defs", "$schema")
    }


def _short(schema: Any) -> str:
    return json.dumps(schema, ensure_ascii=False)[:200]


# --- files of versions that are no longer recorded -----------------------------------------------------------------
def _edited(folder: Path, older: set[StoredForm]) -> list[str]:
    sums = _sums(folder)
    found: list[str] = []
    for name in sorted(map(file_name, older)):
        if name not in sums:
            found.append(f"{name} has no line in {SUMS}: run {WRITE}")
        elif sums[name] != _sum(folder / name):
            found.append(f"{name} has been edited, but the events that it describes are recorded: bring it back")
    return found


def _sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: checksum for checksum, name in map(str.split, lines)}


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _form(path: Path) -> StoredForm:
    name, version = path.name.removesuffix(".json").rsplit(".v", 1)
    return name, int(version)


# --- writing -------------------------------------------------------------------------------------------------------
def write(folder: Path = FILES, kinds: Iterable[type[Event]] = EVENTS) -> None:
    """Write what is missing and what has grown; what would break a reader stays as it is, and is a problem still."""
    folder.mkdir(exist_ok=True)
    newest = {(event_type(kind), kind.schema_version): schema_of(kind) for kind in kinds}
    for form, schema in newest.items():
        path = folder / file_name(form)
        if not path.exists() or not list(breaking(json.loads(path.read_text(encoding="utf-8")), schema)):
            path.write_text(text_of(schema), encoding="utf-8")
    older = sorted(file_name(form) for form in {_form(path) for path in folder.glob("*.v*.json")} - newest.keys())
    sums = {name: _sum(folder / name) for name in older} | _sums(folder)
    (folder / SUMS).write_text("".join(f"{sums[name]}  {name}\n" for name in older), encoding="utf-8")


def main() -> None:
    if "--check" not in sys.argv[1:]:
        write()
    found = problems()
    for problem in found:
        sys.stderr.write(f"events: {problem}\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
