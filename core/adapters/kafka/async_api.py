"""The AsyncAPI document of the topics of Kafka, made of the types of the events, so that it cannot differ from them."""

from __future__ import annotations

from typing import Any

from core.adapters.kafka.cloud_events import SOURCE
from core.adapters.kafka.partitions import CATEGORIES, topic_names
from core.codec import EVENTS_OF, event_type
from core.event_schemas import EventSchema, envelope_schemas, event_schemas
from core.kafka_settings import KafkaSettings
from core.tracing import TRACEPARENT

Json = dict[str, Any]

KEYS = {
    "order": "the order's id",
    "inventory": "an id that is derived from the SKU",
    "payment": "an id that is derived from the order's id",
    "saga": "the saga's id",
    "reader": "an id that is derived from the reader's name",
    "customer": "the customer's pseudonym, a random id",
}
PARTITIONS = {
    "order": "The partition is murmur2 of the key, as with Kafka's own clients.",
    "inventory": "The partition is murmur2 of the key, as with Kafka's own clients.",
    "payment": "The partition is that of the order in the topic of orders: murmur2 of its id, the correlation_id.",
    "saga": "The partition is that of the order in the topic of orders: murmur2 of its id, the correlation_id.",
    "reader": "The partition is murmur2 of the key, as with Kafka's own clients.",
    "customer": "The partition is murmur2 of the key, as with Kafka's own clients.",
}
DESCRIPTION = """\
Every event that orderdeck records, a few milliseconds later. Under each key the first occurrences of events come in the
order of their `version`, 1, 2, 3 … without gaps; an event may come again, so drop what is not newer than the last one.
The value is the same envelope as over HTTP; the headers are those of CloudEvents 1.0 in binary mode."""
BINDING = "0.5.0"  # the version of AsyncAPI's description of Kafka


def document(version: str) -> Json:
    """The document for topics with their usual names and settings."""
    settings = KafkaSettings.model_construct()  # the defaults, whatever the environment says
    names, partitions = topic_names(settings), settings.kafka_partitions
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "orderdeck", "version": version, "description": DESCRIPTION, "license": {"name": "MIT"}},
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": "localhost:9092", "protocol": "kafka", "description": "as in KAFKA_BROKERS"}},
        "channels": {
            f"{category}Events": {
                "address": names[category],
                "description": f"The key is {KEYS[category]}. {PARTITIONS[category]}",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(category)},
                "bindings": {"kafka": {"topic": names[category], "partitions": partitions, "bindingVersion": BINDING}},
            }
            for category in CATEGORIES
        },
        "operations": {
            f"send{category.capitalize()}Events": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{category}Events"},
                "messages": [{"$ref": f"#/channels/{category}Events/messages/{name}"} for name in _names(category)],
            }
            for category in CATEGORIES
        },
        "components": {
            "messages": {name: _message(category, name) for category in CATEGORIES for name in _names(category)},
            "schemas": {"Headers": _headers()} | envelope_schemas("#/components/schemas/{name}"),
        },
    }


def _names(category: str) -> list[str]:
    return [event_type(kind) for kind in EVENTS_OF[category]]


def _message(category: str, name: str) -> Json:
    return {
        "name": name,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {
                    "type": "object",
                    "properties": {"aggregate_type": {"const": category}, "event_type": {"const": name}},
                },
                {"oneOf": [_version(one) for one in event_schemas().values() if one.event_type == name]},
            ]
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "format": "uuid", "description": KEYS[category]},
                "bindingVersion": BINDING,
            }
        },
    }


def _version(event: EventSchema) -> Json:
    """Events are sent as they are stored, so a topic has those of older versions too; each has its schema in a file."""
    file = f"schemas/{event.event_type}.v{event.schema_version}.json"
    return {
        "type": "object",
        "properties": {"event_version": {"const": event.schema_version}, "payload": {"$ref": file}},
    }


def _headers() -> Json:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "CloudEvents 1.0 in binary mode, and a trace by W3C Trace Context.",
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {**text, "format": "uuid", "description": "event_id of the envelope"},
            "ce_source": {"enum": [SOURCE + category for category in CATEGORIES]},
            "ce_type": {**text, "description": "event_type of the envelope"},
            "ce_subject": {**text, "format": "uuid", "description": "the key: aggregate_id of the envelope"},
            "ce_time": {**text, "format": "date-time", "description": "timestamp of the envelope"},
            "content-type": {"const": "application/json"},
            "traceparent": {**text, "pattern": f"^{TRACEPARENT.pattern}$"},
        },
        "required": [
            "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "content-type", "traceparent",
        ],
    }  # fmt: skip
