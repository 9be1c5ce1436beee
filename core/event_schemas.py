"""The JSON Schemas of events: made from the types that are recorded today, and kept as a file for every version."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import msgspec

from core.codec import EVENTS_OF, Envelope, event_type, parse
from core.domain.message import Event, Metadata

Json: TypeAlias = dict[str, Any]

FILES = Path(__file__).resolve().parents[1] / "docs" / "reference" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class EventSchema(NamedTuple):
    """The schema of the payload of a type of event in one of its versions. `recorded`: events are recorded so today."""

    event_type: str
    schema_version: int
    category: str
    recorded: bool
    schema: Json


@cache
def event_schemas() -> Mapping[tuple[str, int], EventSchema]:
    """The schema of every version of every type, as the files say it; the oldest versions of a type come first."""
    newest = {
        event_type(kind): (category, kind.schema_version) for category, kinds in EVENTS_OF.items() for kind in kinds
    }
    found: list[EventSchema] = []
    for path in FILES.glob("*.v*.json"):
        name, version = path.name.removesuffix(".json").rsplit(".v", 1)
        category, recorded = newest.get(name, ("", 0))
        schema = parse(path.read_bytes())
        found.append(EventSchema(name, int(version), category, int(version) == recorded, schema))
    return {(one.event_type, one.schema_version): one for one in sorted(found, key=lambda one: one[:2])}


def schema_of(kind: type[Event]) -> Json:
    """The schema of the payloads that are recorded of this type today. The type's name is not in them."""
    _, found = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    schemas: Json = {name: as_sent(schema) for name, schema in found.items()}
    own = schemas.pop(kind.__name__)
    del own["properties"]["type"]
    own["required"].remove("type")
    title = f"{event_type(kind)}, schema version {kind.schema_version}"
    return {"$schema": DIALECT, **own, "title": title} | ({"$defs": schemas} if schemas else {})


def envelope_schemas(place: str) -> Json:
    """The schemas of the envelope and of the metadata in it, which refer to each other at `place`."""
    _, found = msgspec.json.schema_components([Envelope, Metadata], ref_template=place)
    schemas: Json = {name: as_sent(schema) for name, schema in found.items()}
    schemas["Envelope"]["properties"]["metadata"] = {"$ref": place.format(name="Metadata")}
    return schemas


def message_schema(event: EventSchema) -> Json:
    """The schema of a whole message of Kafka that carries such an event: its envelope, as it is stored."""
    schemas = envelope_schemas("#/$defs/{name}")
    envelope, payload = schemas.pop("Envelope"), dict(event.schema)
    schemas |= payload.pop("$defs", {})
    del payload["$schema"]
    envelope["properties"] |= {
        "aggregate_type": {"const": event.category},
        "event_type": {"const": event.event_type},
        "event_version": {"const": event.schema_version},
        "payload": payload,
    }
    title = f"{event.event_type}, schema version {event.schema_version}, in its envelope"
    return {"$schema": DIALECT, **envelope, "title": title, "$defs": schemas}


def as_sent(schema: Any, name: str = "") -> Any:
    """The schema of a type as it is on the wire: amounts are numbers, and a name that ends with _at is a time."""
    if isinstance(schema, list):
        return [as_sent(each, name) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    known = cast("Json", schema)
    if known.get("format") == "decimal":
        return {key: value for key, value in known.items() if key != "format"} | {"type": "number"}
    made: Json = {key: as_sent(value, name if key == "anyOf" else key) for key, value in known.items()}
    if known.get("type") == "string" and (name.endswith("_at") or name == "timestamp"):
        made["format"] = "date-time"
    return made
