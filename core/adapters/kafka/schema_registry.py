"""Registers the schemas of our messages in a schema registry, by the protocol of Confluent's, which others speak too.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

from typing import Any, Self, cast
from urllib.parse import quote

import httpx
import msgspec

from core import codec
from core.adapters.kafka.partitions import topic_names
from core.errors import BrokerRefused, Unavailable
from core.event_schemas import event_schemas, message_schema
from core.settings import Settings

WITHIN = 10.0  # seconds for one call
LONGEST_ANSWER = 256 * 1024  # bytes; what is longer is no answer of a registry
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
UNKNOWN = 404
LATER = frozenset({408, 425, 429})


class SchemaRegistry:
    """A registry at an address, which may have a user and a password in it."""

    def __init__(self, address: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        url = httpx.URL(address)
        self._place = f"{url.scheme}://{url.netloc.decode().rpartition('@')[2]}{url.path}".rstrip("/")
        self._client = httpx.AsyncClient(
            base_url=url, timeout=WITHIN, trust_env=False, transport=transport, headers={"Content-Type": CONTENT_TYPE}
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def register(self, subject: str, schema: dict[str, Any]) -> bool:
        """Register the schema as the newest version of the subject. Returns whether it was not there before.

        The subject gets the compatibility NONE, because a new schema version of an event is meant to differ, and what
        may differ within one was checked before it was released. Raises Unavailable and BrokerRefused.
        """
        place = f"/subjects/{quote(subject, safe='')}"
        body = codec.json({"schemaType": "JSON", "schema": codec.json(schema).decode()})
        if await self._call("POST", place, body, may=UNKNOWN) is not None:
            return False
        await self._call(
            "PUT", f"/config/{quote(subject, safe='')}", codec.json({"compatibility": "NONE"}), may=UNKNOWN
        )
        await self._call("POST", f"{place}/versions", body)
        return True

    async def _call(self, method: str, path: str, body: bytes, *, may: int = 0) -> dict[str, Any] | None:
        """The object that the registry answers; None for the status that it `may` answer instead."""
        try:
            async with self._client.stream(method, path, content=body) as response:
                status, answer = response.status_code, bytearray()
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) > LONGEST_ANSWER:
                        raise BrokerRefused(f"the schema registry at {self._place} answers too much")
        except httpx.InvalidURL as error:
            raise BrokerRefused(f"the schema registry at {self._place} cannot be asked: {error}") from error
        except (httpx.HTTPError, AttributeError) as error:  # AttributeError: see core/cut_connections.py
            why = str(error) or "it did not answer in time"
            raise Unavailable(f"the schema registry at {self._place} is away: {why}") from error
        if status == may:
            return None
        said = _object(bytes(answer))
        if status == 200 and said is not None:
            return said
        sentence = f"the schema registry at {self._place} answers {status} to {method} {path}"
        if said is not None and isinstance(message := said.get("message"), str):
            sentence += f": {message[:300]}"
        raise (Unavailable if status >= 500 or status in LATER else BrokerRefused)(sentence)


async def register_all(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> int:
    """Register every schema of every topic, the older versions first. Returns how many the registry did not have.

    The subjects are named as Confluent's TopicRecordNameStrategy does it: `order-events-OrderCreated`.
    """
    if settings.schema_registry_url is None:
        return 0
    new, topics = 0, topic_names(settings)
    async with SchemaRegistry(settings.schema_registry_url.get_secret_value(), transport) as registry:
        for event in event_schemas().values():
            if event.category:
                subject = f"{topics[event.category]}-{event.event_type}"
                new += await registry.register(subject, message_schema(event))
    return new


def _object(answer: bytes) -> dict[str, Any] | None:
    try:
        found = codec.parse(answer)
    except msgspec.DecodeError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
