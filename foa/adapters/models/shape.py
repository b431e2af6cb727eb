"""A JSON Schema as a msgspec type: the subset that describes answers, and an error for every keyword beyond it.

Used for what a profile's ``schema`` asks of a model: `checked` says in one line where an answer departs from it. A
keyword that we could not hold would be a promise nobody keeps, so it is refused when the profile is read.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union

import msgspec
from msgspec import Meta

_ABOUT: Final = frozenset({"title", "description", "$schema", "$id", "default", "examples"})
_BOUNDS: Final = {
    "string": {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"},
    "number": {
        "minimum": "ge",
        "maximum": "le",
        "exclusiveMinimum": "gt",
        "exclusiveMaximum": "lt",
        "multipleOf": "multiple_of",
    },
    "array": {"minItems": "min_length", "maxItems": "max_length"},
    "object": {},
    "boolean": {},
    "null": {},
}
_OWN: Final = {"array": {"items"}, "object": {"properties", "required", "additionalProperties"}}
_PLAIN: Final = {"string": str, "number": float, "integer": int, "boolean": bool, "null": None}
MAX_DEPTH: Final = 16


class Unheld(ValueError):
    """A schema that cannot be held: the text names the place and the keyword."""


class Unfit(ValueError):
    """An answer that is not what was asked for; the text says exactly what is wrong, in one line."""


def type_of(schema: Mapping[str, Any]) -> Any:
    """Return the msgspec type of `schema`; Unheld names what is not understood."""
    try:
        made = _type(schema, "$", 0)
        msgspec.json.Decoder(made)
    except (TypeError, ValueError, re.error) as error:
        if isinstance(error, Unheld):
            raise
        raise Unheld(" ".join(str(error).split())[:300]) from error
    return made


def checked(body: bytes, wanted: Any) -> Any:
    """Return the JSON in `body`, as it is, if it fits `wanted` (a type); Unfit says where it does not."""
    try:
        msgspec.json.decode(body, type=wanted)
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Unfit(" ".join(str(error).split())[:300]) from error


def _type(schema: Any, at: str, depth: int) -> Any:
    if not isinstance(schema, Mapping):
        raise Unheld(f"{at}: must be a schema (an object)")
    if depth > MAX_DEPTH:
        raise Unheld(f"{at}: is nested more than {MAX_DEPTH} deep")
    if "enum" in schema or "const" in schema:
        return _choice(schema, at)
    if "anyOf" in schema:
        _refuse(schema, {"anyOf"}, at)
        parts = [_type(each, f"{at}.anyOf", depth + 1) for each in schema["anyOf"]]
        return _either(parts, at)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _either([_type({**schema, "type": each}, at, depth) for each in kind], at)
    if kind is None:
        _refuse(schema, set(), at)
        return Any
    return _typed(schema, kind, at, depth)


def _either(parts: list[Any], at: str) -> Any:
    if not parts:
        raise Unheld(f"{at}: offers nothing to choose from")
    return Union[tuple(parts)]  # noqa: UP007 - X | Y is for types that are known when this is written


def _choice(schema: Mapping[str, Any], at: str) -> Any:
    _refuse(schema, {"enum", "const", "type"}, at)
    options = schema.get("enum", [schema.get("const")])
    if not options or not all(isinstance(each, str | int) and not isinstance(each, bool) for each in options):
        raise Unheld(f"{at}: enum and const are held for text and whole numbers")
    return Literal[tuple(options)]


def _typed(schema: Mapping[str, Any], kind: Any, at: str, depth: int) -> Any:
    bounds = _BOUNDS.get("number" if kind == "integer" else kind) if isinstance(kind, str) else None
    if bounds is None:
        raise Unheld(f"{at}.type: {kind!r} is none of {', '.join(sorted({*_BOUNDS, 'integer'}))}")
    _refuse(schema, {"type", *bounds, *_OWN.get(kind, ())}, at)
    bare: Any = _PLAIN.get(kind)
    if kind == "array":
        # mypy takes no type that is made at run time
        bare = list[_type(schema.get("items", {}), f"{at}[]", depth + 1)]  # type: ignore[misc]
    elif kind == "object":
        bare = _record(schema, at, depth)
    given = {bounds[key]: schema[key] for key in bounds if key in schema}
    return Annotated[bare, Meta(**given)] if given else bare


def _record(schema: Mapping[str, Any], at: str, depth: int) -> Any:
    """Return a struct of the properties; without any, a dict of whatever ``additionalProperties`` says."""
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties", True)
    required = schema.get("required", [])
    if not properties:
        # as above: made at run time
        return dict[str, Any] if isinstance(extra, bool) else dict[str, _type(extra, f"{at}.*", depth + 1)]  # type: ignore[misc]
    if not isinstance(extra, bool):
        raise Unheld(f"{at}.additionalProperties: beside properties only true or false is held")
    lost = [name for name in required if name not in properties]
    if lost:
        raise Unheld(f"{at}.required: {lost[0]!r} is none of the properties")
    fields: list[Any] = []
    rename = {}
    for number, (name, each) in enumerate(properties.items()):
        made = _type(each, f"{at}.{name}", depth + 1)
        field = f"field{number}"
        rename[field] = name
        fields.append(
            (field, made) if name in required else (field, _either([made, msgspec.UnsetType], at), msgspec.UNSET)
        )
    return msgspec.defstruct(
        "Answer", fields, rename=rename, kw_only=True, frozen=True, forbid_unknown_fields=extra is False
    )


def _refuse(schema: Mapping[str, Any], known: set[str], at: str) -> None:
    for key in schema:
        if key not in known and key not in _ABOUT:
            raise Unheld(f"{at}: {key!r} is not held here; there are {', '.join(sorted(known)) or 'type, enum, anyOf'}")
