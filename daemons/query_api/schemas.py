"""The JSON Schemas of events, in every version that was ever recorded."""

from __future__ import annotations

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ASGIApp

from core import codec
from core.errors import NotFound
from core.event_schemas import event_schemas
from daemons.http.openapi import answers
from daemons.http.problems import problems
from daemons.query_api.answers import PayloadSchema, Schemas
from daemons.query_api.parameters import TextInPath, a_text
from daemons.query_api.response import json_response

NEWEST = "latest"
MEDIA_TYPE = "application/schema+json"
SCHEMA = ResponseSpec(
    PayloadSchema, generate_examples=False, media_type=MEDIA_TYPE, description="A JSON Schema of draft 2020-12."
)


@get("/api/v1/schemas", responses=answers(Schemas))
async def schemas() -> ASGIApp:
    """Every type of event in every schema version, and where its JSON Schema is."""
    listed = [
        {
            "event_type": one.event_type,
            "schema_version": one.schema_version,
            "aggregate_type": one.category,
            "recorded": one.recorded,
            "path": f"/api/v1/schemas/{one.event_type}/{one.schema_version}",
        }
        for one in event_schemas().values()
    ]
    return json_response(codec.json({"schemas": listed}))


@get("/api/v1/schemas/{event_type:str}/{schema_version:str}", responses={200: SCHEMA} | problems(404))
async def schema(event_type: TextInPath, schema_version: TextInPath) -> Response[bytes]:
    """The JSON Schema of the payload of a type of event: in a version, or in the one that is recorded today."""
    name, version = a_text("event_type", event_type), a_text("schema_version", schema_version)
    for one in event_schemas().values():
        if one.event_type == name and (version == str(one.schema_version) or (version == NEWEST and one.recorded)):
            return Response(codec.json(one.schema), media_type=MEDIA_TYPE)
    raise NotFound("schema", f"{name} in version {version}")


ROUTES = (schemas, schema)
