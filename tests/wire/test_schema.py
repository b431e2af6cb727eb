"""The generated documents: current, complete, self-contained, and read by others' tools as by ours."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from foa.wire.codec import MESSAGES, TAGS, decode
from foa.wire.schema import generate
from foa.wire.topics import TABLE

ROOT = Path(__file__).resolve().parents[2]
FILES = generate()
ASYNCAPI: dict[str, Any] = json.loads(FILES["asyncapi.json"])
_by_tag = pytest.mark.parametrize("tag", TAGS)


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "schemas" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_files_are_current() -> None:
    assert [str(path.relative_to(ROOT)) for path in _generator().stale()] == [], "run `make schemas`"


def test_generating_twice_is_the_same() -> None:
    assert generate() == FILES


@_by_tag
def test_the_golden_example_is_read_from_both_its_forms(tag: str) -> None:
    packed, view = FILES[f"examples/{tag}.msgpack"], FILES[f"examples/{tag}.json"]
    assert isinstance(packed, bytes)
    message = decode(packed)
    assert type(message) is TAGS[tag]
    assert msgspec.json.decode(view, type=TAGS[tag]) == message


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for inner in node for found in _references(inner)]
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for inner in node.values() for found in _references(inner)]
    return []


def _resolves(document: Any, reference: str) -> bool:
    if reference.startswith("./"):
        return reference.removeprefix("./") in FILES
    node = document
    for step in reference.removeprefix("#/").split("/"):
        if step not in node:
            return False
        node = node[step]
    return True


@pytest.mark.parametrize("name", [name for name in FILES if "example" not in name and name.endswith(".json")])
def test_every_reference_resolves(name: str) -> None:
    document = json.loads(FILES[name])
    assert [found for found in _references(document) if not _resolves(document, found)] == []


@_by_tag
def test_a_schema_names_its_message_and_knows_the_fields_of_the_example(tag: str) -> None:
    schema = json.loads(FILES[f"messages/{tag}.json"])
    example = json.loads(FILES[f"examples/{tag}.json"])
    assert schema["$id"].endswith(tag)
    assert schema["properties"]["kind"] == {"enum": [tag]}
    assert schema["description"]
    assert set(schema["required"]) <= set(example) <= set(schema["properties"])


def test_binary_fields_say_how_they_are_written() -> None:
    vcv = json.loads(FILES["messages/vcv.1.json"])["properties"]
    assert vcv["s"]["minLength"] == vcv["s"]["maxLength"] == 44
    assert "msgpack bin" in vcv["c"]["description"]


def test_asyncapi_has_a_channel_and_an_operation_for_every_row_of_the_table() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert list(ASYNCAPI["channels"]) == [rule.kind for rule in TABLE]
    for rule in TABLE:
        binding = ASYNCAPI["operations"][f"write-{rule.kind}"]["bindings"]["mqtt"]
        assert binding == {"qos": rule.qos, "retain": rule.retained, "bindingVersion": "0.2.0"}


def test_asyncapi_declares_every_parameter_and_message() -> None:
    for channel in ASYNCAPI["channels"].values():
        in_address = {level[1:-1] for level in channel["address"].split("/") if level.startswith("{")}
        assert in_address == set(channel.get("parameters", {}))
    assert len(ASYNCAPI["components"]["messages"]) == len(MESSAGES) + 3


def test_another_root_changes_the_addresses() -> None:
    other = json.loads(generate("lab")["asyncapi.json"])
    assert other["channels"]["own"]["address"] == "lab/own/{partition}"
