"""Any message the types allow, as hypothesis strategies built from those types, caps and patterns included."""

from collections.abc import Callable
from typing import Any, Final

import msgspec.inspect as mi
from hypothesis import settings
from hypothesis import strategies as st

from foa.wire.codec import MESSAGES
from foa.wire.messages import Message
from foa.wire.records import Ref, Value

LAWS: Final = settings(max_examples=100, deadline=None, database=None)

_PLAIN: Final = "abcXYZ059_.-"
segments = st.text(_PLAIN, min_size=1, max_size=12) | st.text(_PLAIN, min_size=64, max_size=64)
agents = st.tuples(segments, segments, segments).map("/".join)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)

_FEW: Final = 3
_SHORT: Final = 12


def _strings(kind: mi.StrType) -> st.SearchStrategy[str]:
    if kind.pattern is not None:
        if "0-9a-f]{64}" in kind.pattern:
            return digests
        return agents if kind.pattern.count("/") else segments
    return st.text(min_size=kind.min_length or 0, max_size=min(kind.max_length or _SHORT, _SHORT))


def _values() -> st.SearchStrategy[Value]:
    names = st.text(min_size=1, max_size=_SHORT)
    bodies = st.builds(Value, names, names, st.binary(max_size=64))
    refs = st.builds(Ref, digests, st.integers(0, 2**32))
    return bodies | st.builds(lambda name, ref: Value(name, ref=ref), names, refs)


def _structs(kind: mi.StructType) -> st.SearchStrategy[Any]:
    if kind.cls is Value:
        return _values()
    fields = {field.name: _of(field.type) for field in kind.fields}
    return st.fixed_dictionaries(
        {field.name: fields[field.name] for field in kind.fields if field.required},
        optional={field.name: fields[field.name] for field in kind.fields if not field.required},
    ).map(lambda given: kind.cls(**given))


def _bytes(kind: mi.BytesType) -> st.SearchStrategy[bytes]:
    least = kind.min_length or 0
    return st.binary(min_size=least, max_size=max(least, min(kind.max_length or 64, 64)))


def _integers(kind: mi.IntType) -> st.SearchStrategy[int]:
    return st.integers(-(2**63) if kind.ge is None else kind.ge, 2**64 - 1 if kind.le is None else kind.le)


def _lists(kind: mi.VarTupleType) -> st.SearchStrategy[tuple[Any, ...]]:
    most = min(_FEW, _FEW if kind.max_length is None else kind.max_length)
    return st.lists(_of(kind.item_type), min_size=kind.min_length or 0, max_size=most).map(tuple)


_BUILDERS: Final[dict[type[mi.Type], Callable[[Any], st.SearchStrategy[Any]]]] = {
    mi.StrType: _strings,
    mi.BytesType: _bytes,
    mi.IntType: _integers,
    mi.FloatType: lambda kind: st.floats(kind.ge, kind.le, allow_nan=False),
    mi.BoolType: lambda _: st.booleans(),
    mi.NoneType: lambda _: st.none(),
    mi.LiteralType: lambda kind: st.sampled_from(kind.values),
    mi.UnionType: lambda kind: st.one_of(*map(_of, kind.types)),
    mi.StructType: _structs,
    mi.TupleType: lambda kind: st.tuples(*map(_of, kind.item_types)),
    mi.VarTupleType: _lists,
    mi.DictType: lambda kind: st.dictionaries(_of(kind.key_type), _of(kind.value_type), max_size=_FEW),
}


def _of(kind: mi.Type) -> st.SearchStrategy[Any]:
    return _BUILDERS[type(kind)](kind)


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Return messages of one kind."""
    return _of(mi.type_info(kind))


messages: st.SearchStrategy[Message] = st.one_of(*map(messages_of, MESSAGES))
