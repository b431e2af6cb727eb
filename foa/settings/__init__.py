"""Every knob in one frozen record, grouped per room; pure: the CLI reads files and environment, this decides.

Each field says its meaning in its annotation, so that ``foa config show`` prints key, value, source and
meaning from here alone. Layers are plain mappings, nested (TOML) or dotted (flags); later ones win, and
`resolve` tells which layer each value came from. A wrong key or value is a ConfigError of one line that
names the key, the value, where it stands, and the mend. Nodes hand each machine its own few parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, get_args, get_type_hints

import msgspec
from msgspec import field

from foa.errors import ConfigError
from foa.settings.groups import (
    Agent,
    Broker,
    Cluster,
    Coordinator,
    Http,
    Index,
    Learning,
    Log,
    Matching,
    Node,
    Security,
    Wire,
)

SECRETS: Final = frozenset({"broker.password"})
"""Settings that are never shown, and never taken from a command line: others on the machine see those."""


class Settings(msgspec.Struct, frozen=True):
    """All knobs. Change some with `from_mapping`, several layers with `resolve`."""

    broker: Broker = field(default_factory=Broker)
    wire: Wire = field(default_factory=Wire)
    node: Node = field(default_factory=Node)
    coordinator: Coordinator = field(default_factory=Coordinator)
    index: Index = field(default_factory=Index)
    matching: Matching = field(default_factory=Matching)
    learning: Learning = field(default_factory=Learning)
    cluster: Cluster = field(default_factory=Cluster)
    agent: Agent = field(default_factory=Agent)
    security: Security = field(default_factory=Security)
    log: Log = field(default_factory=Log)
    http: Http = field(default_factory=Http)

    @staticmethod
    def from_mapping(mapping: Mapping[str, Any], source: str) -> "Settings":
        """Return the defaults changed by `mapping`; ConfigError names `source`."""
        return resolve([(source, mapping)])[0]


class Entry(NamedTuple):
    """One row of ``foa config show``; the value of a secret is hidden."""

    key: str
    value: Any
    source: str
    meaning: str


class _Knob(NamedTuple):
    kind: Any
    default: Any
    meaning: str


def _knobs() -> dict[str, _Knob]:
    found = {}
    for group, kind in get_type_hints(Settings).items():
        defaults = kind()
        for name, hint in get_type_hints(kind, include_extras=True).items():
            found[f"{group}.{name}"] = _Knob(hint, getattr(defaults, name), hint.__metadata__[0].description)
    return found


_KNOBS: Final = _knobs()
_GROUPS: Final = tuple(get_type_hints(Settings))
_ELSEWHERE: Final = "give it as FOA_BROKER_PASSWORD in the environment, or in the file that broker.password_file names"
_PREFIX: Final = "FOA_"
_ALIASES: Final = {"FOA_TOPIC_ROOT": "wire.root"}
_NOT_OURS: Final = frozenset({"FOA_CONFIG"})  # the CLI's: which file to read
_VARIABLES: Final = {_PREFIX + key.replace(".", "_").upper(): key for key in _KNOBS} | _ALIASES


def resolve(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[Settings, dict[str, str]]:
    """Lay `layers` of (source, mapping) over the defaults, later ones winning.

    Returns the settings and, for every dotted key, the source its value came from ("default" if none).
    Raises ConfigError at the first unknown key or wrong value, also in a layer that a later one hides.
    """
    values: dict[str, Any] = {}
    sources = dict.fromkeys(_KNOBS, "default")
    for source, mapping in layers:
        for key, value in _flatten(mapping, source):
            values[key] = _convert(key, value, source)
            sources[key] = source
    return _build(values), sources


def check_flag(key: str) -> None:
    """Raise ConfigError if `key` may not be said on a command line."""
    if key in SECRETS:
        raise ConfigError(f"--set {key}=(hidden): others on this machine can read command lines; {_ELSEWHERE}")


def from_env(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings among `environ` by dotted key: ``FOA_BROKER_URL`` is ``broker.url``.

    Variables that do not start with FOA_ are left alone; one that does and is none of ours is a ConfigError.
    """
    found = {}
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or variable in _NOT_OURS:
            continue
        key = _VARIABLES.get(variable)
        if key is None:
            raise ConfigError(f"{variable} in the environment is no setting{_near(variable, list(_VARIABLES))}")
        found[key] = environ[variable]
    return found


def entries(settings: Settings, sources: Mapping[str, str]) -> Iterator[Entry]:
    """Yield every setting in the order declared; `sources` as `resolve` returns them."""
    for key, knob in _KNOBS.items():
        group, _, name = key.partition(".")
        value = getattr(getattr(settings, group), name)
        shown = ("(set)" if value else "") if key in SECRETS else value
        yield Entry(key, shown, sources.get(key, "default"), knob.meaning)


def _flatten(mapping: Mapping[str, Any], source: str) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values of a nested or dotted mapping; ConfigError for a key that is none."""
    for key, value in mapping.items():
        if key in _GROUPS:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{key} = {value!r} in {source} must be a table, such as [{key}]")
            yield from _flatten({f"{key}.{name}": inner for name, inner in value.items()}, source)
        elif key in _KNOBS:
            yield key, value
        else:
            raise ConfigError(f"{key} in {source} is no setting{_near(key, [*_KNOBS, *_GROUPS])}")


def _near(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else "; 'foa config show' lists them all"


def _convert(key: str, value: Any, source: str) -> Any:
    """Return `value` as the type of `key`; text becomes a number or truth value where one is wanted."""
    knob = _KNOBS[key]
    try:
        return msgspec.convert(value, knob.kind, strict=False)
    except msgspec.ValidationError as error:
        if key == "broker.url" and "@" in str(value):
            raise ConfigError(f"{key} in {source}: a URL is no place for a password; {_ELSEWHERE}") from None
        shown = "(hidden)" if key in SECRETS else repr(value)
        raise ConfigError(
            f"{key} = {shown} in {source}: {_wanted(knob, str(error))} ({knob.meaning}; default {knob.default!r})"
        ) from None


def _wanted(knob: _Knob, error: str) -> str:
    """Say what would have been right, from the type or in the validator's own words."""
    choices = get_args(get_args(knob.kind)[0])
    if choices:
        return f"must be one of {', '.join(choices)}"
    if "matching regex" in error:
        return "is not of the form it must have"
    return error.partition(" - at ")[0].replace("`", "").replace("Expected", "expected", 1)


def _build(values: Mapping[str, Any]) -> Settings:
    """Return settings with `values` by dotted key, defaults for the rest."""
    groups: dict[str, dict[str, Any]] = {group: {} for group in _GROUPS}
    for key, value in values.items():
        group, _, name = key.partition(".")
        groups[group][name] = value
    kinds = get_type_hints(Settings)
    return Settings(**{group: kinds[group](**changed) for group, changed in groups.items()})
