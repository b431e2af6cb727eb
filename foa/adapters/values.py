"""Python values to wire values and back: what a handler's type hints mean on the bus.

One table: ``str`` is text/plain, ``bytes`` is application/octet-stream, everything else is JSON checked
against its hint by msgspec (dataclasses, structs, TypedDicts) or by the class itself (pydantic models are
recognised by their methods, so that pydantic is never imported here). `Type` renames any of them.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from foa.wire.records import Value

TEXT: Final = "text/plain"
BYTES: Final = "application/octet-stream"
JSON: Final = "application/json"
GENERIC: Final = frozenset({TEXT, BYTES, JSON})
_REPAIRABLE: Final = (
    msgspec.ValidationError,
    msgspec.DecodeError,
    TypeError,
    ValueError,
    RecursionError,
    OverflowError,
)


class Misfit(ValueError):
    """A value that is not what its hint says; the text is one line for people."""


@dataclass(frozen=True)
class Type:
    """Marks a hint with what it is on the bus: ``Annotated[bytes, Type("text/csv")]``."""

    name: str


class Outputs(msgspec.Struct):
    """Base of a record whose fields are the several named outputs of one handler."""


class Hint(msgspec.Struct, frozen=True):
    """A type hint, understood. ``python`` is the bare hint, ``type`` its name on the bus.

    ``many``: a list of separate values rather than one value that is a list. ``named``: by `Type`.
    """

    python: Any
    type: str
    optional: bool = False
    many: bool = False
    named: bool = False


def understand(hint: Any) -> Hint:
    """Return what `hint` means.

    ``X | None`` is optional; ``list[bytes]`` and ``list[Annotated[X, Type(…)]]`` are many values, every
    other list is one value in JSON.
    """
    bare, name, optional = _strip(hint)
    if get_origin(bare) is list and not name:
        inner, inner_name, _ = _strip(get_args(bare)[0])
        if inner_name or inner is bytes:
            return Hint(inner, inner_name or BYTES, optional=True, many=True, named=bool(inner_name))
    return Hint(bare, name or {str: TEXT, bytes: BYTES}.get(bare, JSON), optional=optional, named=bool(name))


def _strip(hint: Any) -> tuple[Any, str, bool]:
    """Take `Type` and ``| None`` off a hint, in whichever order they were put on."""
    name, optional = "", False
    while True:
        origin = get_origin(hint)
        if origin is Annotated:
            hint, *marks = get_args(hint)
            name = next((mark.name for mark in marks if isinstance(mark, Type)), name)
        elif origin in (Union, types.UnionType) and type(None) in get_args(hint) and len(get_args(hint)) == 2:  # noqa: PLR2004 - X and None
            hint = next(part for part in get_args(hint) if part is not type(None))
            optional = True
        else:
            return hint, name, optional


def base(media: str) -> str:
    """Return a media type without its parameters, in lower case; a short name stays as it is."""
    return media.partition(";")[0].strip().lower() if "/" in media else media


def media_of(name: str) -> str:
    """Return how a type is written: media types as themselves, named types as JSON."""
    return base(name) if "/" in name and "*" not in name else JSON


def is_json(media: str) -> bool:
    """Tell whether `media` is JSON or built on it."""
    return base(media) == JSON or base(media).endswith("+json")


def is_text(media: str) -> bool:
    """Tell whether `media` is characters rather than bytes or JSON."""
    return base(media).startswith("text/") or base(media) in {"image/svg+xml", "application/xml"}


def decode(value: Value, hint: Any = Any) -> Any:
    """Return the body of `value` as `hint` says; Misfit if it is not that, or only a reference."""
    if value.body is None:
        raise Misfit("its body was not fetched")
    if hint is bytes:
        return value.body
    if hint is Any and not is_json(value.media):
        return text_of(value.body) if is_text(value.media) else value.body
    if hint is str and not is_json(value.media):
        return text_of(value.body)
    return _checked(value.body, hint)


def text_of(body: bytes) -> str:
    """Return `body` as characters; Misfit if it is not UTF-8."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Misfit(f"is not UTF-8 text: {error}") from error


def _checked(body: bytes, hint: Any) -> Any:
    try:
        if hasattr(hint, "model_validate"):
            return hint.model_validate(msgspec.json.decode(body))
        return msgspec.json.decode(body, type=hint, dec_hook=_decode_hook)
    except _REPAIRABLE as error:
        raise Misfit(_line(error)) from error


def encode(result: Any, name: str, hint: Any = Any) -> Value:
    """Return `result` as a value of type `name`; Misfit if it is not what `hint` and `name` say."""
    media = media_of(name)
    if isinstance(result, bytes | bytearray | memoryview):
        _must(hint in (Any, bytes, bytearray, memoryview), "bytes", hint)
        return _written(bytes(result), name, media)
    if isinstance(result, str) and not is_json(media):
        _must(hint in (Any, str) or isinstance(hint, str), "str", hint)
        return Value(name, media, result.encode("utf-8", "surrogatepass"))
    _must(hint not in (str, bytes) or isinstance(result, hint), type(result).__name__, hint)
    _must(is_json(media), type(result).__name__, f"str or bytes for {media}")
    try:
        body = msgspec.json.encode(result, enc_hook=_encode_hook)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise Misfit(_line(error)) from error
    if hint is not Any:
        _checked(body, hint)
    return Value(name, media, body)


def _written(body: bytes, name: str, media: str) -> Value:
    """Bytes under a JSON type are taken as JSON that the handler wrote itself, and must be it."""
    if is_json(media):
        _checked(body, Any)
    return Value(name, media, body)


def _must(holds: bool, got: str, wanted: Any) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise Misfit(f"got {got}, declared {getattr(wanted, '__name__', wanted)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _decode_hook(wanted: type, given: Any) -> Any:
    if hasattr(wanted, "model_validate"):
        return wanted.model_validate(given)
    raise NotImplementedError


def _encode_hook(given: Any) -> Any:
    """Models dump themselves; numpy scalars and arrays become plain numbers and lists."""
    if hasattr(given, "model_dump"):
        return given.model_dump(mode="json")
    for method in ("tolist", "item"):
        if hasattr(given, method):
            return getattr(given, method)()
    if isinstance(given, Mapping):
        return dict(given)
    raise TypeError(f"{type(given).__name__} cannot be written as JSON")
