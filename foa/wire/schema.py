"""The wire for other languages: JSON Schemas, an AsyncAPI document and golden examples, as texts by file name.

Pure; ``schemas/generate.py`` writes the texts and a test holds the committed ones to be current. The bodies
are msgpack; the schemas describe the same records in their JSON view, in which a bin is base64 text.
"""

import json
from typing import Any, Final

import msgspec

from foa.wire.card import Card
from foa.wire.codec import CARRIES, MAX_PAYLOAD, MESSAGES, encode
from foa.wire.door import Document
from foa.wire.examples import EXAMPLES
from foa.wire.messages import Message
from foa.wire.topics import TABLE, Rule, Topics

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS: Final[dict[str, type[msgspec.Struct]]] = {"card": Card, "task": Document}
SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"
MEDIA: Final = "application/msgpack"
_BIN: Final = "msgpack bin; base64 in the JSON view"
_PARAMETERS: Final = {
    "partition": "decimal, without leading zeros, below the number of partitions (64)",
    "task": "the task's id, one level",
    "org": "organisation of an agent's identity",
    "unit": "unit of an agent's identity",
    "agent": "name of an agent's identity",
    "node": "a node's id, one level",
    "name": "the last free level: a role, group, suffix, cluster, digest, bucket, reason or verb",
}


def generate(root: str = "foa/v1") -> dict[str, str | bytes]:
    """Return all generated files below ``schemas/v1`` by relative name."""
    files: dict[str, str | bytes] = {"asyncapi.json": _text(asyncapi(root))}
    for kind in MESSAGES:
        files[f"messages/{tag(kind)}.json"] = _text(json_schema(kind, tag(kind)))
    for name, document in DOCUMENTS.items():
        files[f"documents/{name}.json"] = _text(json_schema(document, name))
    for message in EXAMPLES:
        files[f"examples/{tag(type(message))}.msgpack"] = encode(message)
        files[f"examples/{tag(type(message))}.json"] = _text(json.loads(msgspec.json.encode(message)))
    return files


def tag(kind: type[Message]) -> str:
    """Return the wire name of a message: kind and version, such as ``award.1``."""
    return str(kind.__struct_config__.tag)


def json_schema(kind: type[msgspec.Struct], name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one message or document, self-contained."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    own = parts.pop(schema["$ref"].rpartition("/")[2])
    return {"$schema": DIALECT, "$id": f"urn:foa:v1:{name}", **_noted(own), "$defs": _noted(parts)}


def _noted(node: Any) -> Any:
    """Say of every binary field how it is written."""
    if isinstance(node, list):
        return [_noted(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    noted = {key: _noted(inner) for key, inner in node.items()}
    if noted.get("contentEncoding") == "base64":
        noted["description"] = _BIN
    return noted


def asyncapi(root: str) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of all topics below `root`, with MQTT bindings 0.2.0."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Federation of Agents",
            "version": "1.0.0",
            "description": "The topics of a federation of agents over MQTT 5. Generated from foa.wire; do not edit.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": MEDIA,
        "servers": {
            "broker": {
                "host": "127.0.0.1:1883",
                "protocol": "mqtt",
                "protocolVersion": "5",
                "description": "Any MQTT 5 broker; Client ID is the identity of who connects.",
                "bindings": {
                    "mqtt": {"cleanSession": False, "sessionExpiryInterval": 3600, "bindingVersion": "0.2.0"},
                },
            }
        },
        "channels": {rule.kind: _channel(rule, Topics(root)) for rule in TABLE},
        "operations": {f"write-{rule.kind}": _operation(rule) for rule in TABLE},
        "components": {"messages": {tag(kind): _message(kind) for kind in MESSAGES} | _JSON_MESSAGES},
    }


def _address(rule: Rule, topics: Topics) -> str:
    return topics(rule.pattern.replace("{agent}", "{org}/{unit}/{agent}"))


def _channel(rule: Rule, topics: Topics) -> dict[str, Any]:
    address = _address(rule, topics)
    named = {name: {"description": text} for name, text in _PARAMETERS.items() if f"{{{name}}}" in address}
    channel: dict[str, Any] = {"address": address, "description": f"Written by: {rule.writer}."}
    if named:
        channel["parameters"] = named
    channel["messages"] = {name: {"$ref": f"#/components/messages/{name}"} for name in _carried(rule)}
    return channel


def _carried(rule: Rule) -> list[str]:
    return [tag(kind) for kind in CARRIES[rule.kind]] or [name for name in _JSON_MESSAGES if name == rule.kind]


def _operation(rule: Rule) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{rule.kind}"},
        "summary": f"{rule.writer} writes {rule.kind}{', retained' if rule.retained else ''}, QoS {rule.qos}",
        "bindings": {"mqtt": {"qos": rule.qos, "retain": rule.retained, "bindingVersion": "0.2.0"}},
    }


def _message(kind: type[Message]) -> dict[str, Any]:
    return {
        "name": tag(kind),
        "title": kind.__name__,
        "summary": (kind.__doc__ or "").partition("\n")[0],
        "contentType": MEDIA,
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./messages/{tag(kind)}.json"}},
        "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
        "x-maximum-bytes": MAX_PAYLOAD,
    }


_JSON_MESSAGES: Final[dict[str, dict[str, Any]]] = {
    "discovery": {
        "name": "discovery",
        "title": "AgentCard",
        "summary": "An A2A 1.0 Agent Card; the user property a2a-status is online or offline",
        "contentType": "application/json",
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": "./documents/card.json"}},
    },
    "door": {
        "name": "door",
        "title": "PlainTask",
        "summary": "A task as people and scripts write it; see docs/wire.md",
        "contentType": "application/json",
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": "./documents/task.json"}},
    },
    "outcome": {
        "name": "outcome",
        "title": "PlainResult",
        "summary": "How a task that came in by the door ended, as people and scripts read it; see docs/wire.md",
        "contentType": "application/json",
        "payload": {"type": "object", "required": ["id", "status"]},
    },
}


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
