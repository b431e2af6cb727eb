"""The trust file: TOML that names public keys and what each may do.

::

    [[key]]
    name = "sales"                    # the holder; the keys of one holder have one name
    key  = "0f3K…"                    # what 'foa key show' prints
    as   = ["agent:acme/sales/*"]     # role, or role:name; * stands for any ending
    from = 2026-01-01                 # optional, as is until: from when to when the key is good
    until = 2027-01-01
    voices = "each"                   # optional: its agents count one by one, not as one voice
"""

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any, Final, get_args

from foa.errors import ConfigError
from foa.wire.ids import is_segment
from foa.wire.trust.policy import MAX_KEYS, ROLES, Entry, Grant, Trust, Voices
from foa.wire.trust.seal import is_key

MAX_FILE: Final = 8 * 1024 * 1024
_BLOCK: Final = re.compile(r"(?m)^(?=\s*\[\[key\]\])")
FIELDS: Final = ("name", "key", "as", "from", "until", "voices")
_ROLES: Final[frozenset[str]] = frozenset(ROLES)
_AGENT_LEVELS: Final = 3


def load(path: Path, setting: str = "security.trust") -> Trust:
    """Return what the trust file says; ConfigError names the line, the field and the mend."""
    try:
        with path.open("rb") as file:
            body = file.read(MAX_FILE + 1)
    except OSError as error:
        mend = "; 'foa key trust' makes one" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"{setting} = {str(path)!r}: cannot be read: {error.strerror}{mend}") from error
    if len(body) > MAX_FILE:
        raise ConfigError(f"{setting} = {str(path)!r}: is larger than {MAX_FILE} bytes")
    try:
        return parse(body.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8, as TOML must be") from error


def parse(text: str, source: str) -> Trust:
    """Return what `text` says; ``source`` is named in errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: is not TOML: {error}") from error
    tables = data.get("key", [])
    if set(data) - {"key"} or not isinstance(tables, list):
        raise ConfigError(f"{source}: holds [[key]] tables and nothing else")
    if len(tables) > MAX_KEYS:
        raise ConfigError(f"{source}: names {len(tables)} keys, at most {MAX_KEYS} are read")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("[[")]
    lines += [0] * (len(tables) - len(lines))
    entries = []
    seen: dict[str, int] = {}
    for line, table in zip(lines, tables, strict=False):
        where = f"{source}, line {line}" if line else source
        entry = _entry(table, where)
        if entry.key in seen:
            raise ConfigError(
                f"{where}: key is named in line {seen[entry.key]} already; give one key all it may do once"
            )
        seen[entry.key] = line
        entries.append(entry)
    return Trust(tuple(entries))


def _entry(table: Any, where: str) -> Entry:
    unknown = sorted(set(table) - set(FIELDS)) if isinstance(table, Mapping) else ["?"]
    if unknown:
        raise ConfigError(f"{where}: {unknown[0]} is no field; a key has {', '.join(FIELDS)}")
    name, key, roles = table.get("name"), table.get("key"), table.get("as")
    if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isprintable() or "/" in name or name == "?":  # noqa: PLR2004 - a name of the wire's own length
        raise ConfigError(f'{where}: name = {name!r} must be 1 to 64 characters without /, such as "sales"')
    if not isinstance(key, str) or not is_key(key):
        raise ConfigError(f"{where}: key = {_short(key)} must be the 43 characters that 'foa key show FILE' prints")
    if not isinstance(roles, list) or not roles:
        raise ConfigError(f'{where}: as = {roles!r} must be a list of roles, such as ["agent:acme/sales/*"]')
    voices = table.get("voices", "one")
    if voices not in get_args(Voices):
        raise ConfigError(f'{where}: voices = {voices!r} must be "one" or "each"')
    starts, ends = _instant(table, "from", 0.0, where), _instant(table, "until", inf, where)
    if ends <= starts:
        raise ConfigError(f"{where}: until = {table.get('until')} must be later than from = {table.get('from')}")
    return Entry(name, key, tuple(grant(each, where) for each in roles), starts, ends, voices)


def _short(value: Any) -> str:
    """Show a little of what stands where a public key should: somebody may have put a private one there."""
    return f"{value[:4]!r}…" if isinstance(value, str) else type(value).__name__


def grant(text: Any, where: str) -> Grant:
    """Return what ``role`` or ``role:name`` grants; ConfigError says which roles and names there are."""
    role, colon, name = str(text).partition(":")
    if not isinstance(text, str) or role not in _ROLES:
        raise ConfigError(f"{where}: as = {text!r} must begin with one of {', '.join(ROLES)}")
    if role in {"submitter", "operator"} and colon:
        raise ConfigError(f"{where}: as = {text!r}: {role} takes no name; write {role!r}")
    name = name if colon else "*"
    if not _is_pattern(name, role):
        example = "agent:acme/sales/*" if role == "agent" else f"{role}:{role}-1"
        raise ConfigError(f"{where}: as = {text!r}: the name is an identity or its beginning and *, such as {example}")
    return Grant(next(known for known in ROLES if known == role), name)


def _is_pattern(name: str, role: str) -> bool:
    """Tell whether `name` is exact or ends in ``*``; of an agent whole levels, so that no neighbour is meant."""
    body = name.removesuffix("*")
    levels = body.split("/")
    open_ended = name.endswith("*")
    if role != "agent":
        return (open_ended and not body) or is_segment(body)
    if not all(is_segment(level) for level in levels[:-1]) or len(levels) > _AGENT_LEVELS:
        return False
    if not open_ended:
        return len(levels) == _AGENT_LEVELS and is_segment(levels[-1])
    return not levels[-1] or (len(levels) == _AGENT_LEVELS and is_segment(levels[-1]))


def _instant(table: Mapping[str, Any], field: str, default: float, where: str) -> float:
    """Return seconds since 1970; a day or an instant without a zone is meant in UTC."""
    value = table.get(field)
    if value is None:
        return default
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC).timestamp()
    raise ConfigError(f"{where}: {field} = {value!r} must be a date such as 2027-01-01, without quotes")


def append(path: Path, entry: Entry) -> None:
    """Add `entry` to the trust file, which is made if there is none; ConfigError if its key is named already."""
    known = load(path) if path.exists() else Trust()
    holder = next((each.name for each in known.entries if each.key == entry.key), None)
    if holder is not None:
        raise ConfigError(f"{path}: names this key already, for {holder!r}; change it there")
    body = path.read_bytes() if path.exists() else b""
    text = (body.decode() + ("\n" if body and not body.endswith(b"\n") else "") + ("\n" if body else "")) + _written(
        entry
    )
    parse(text, str(path))
    _replace(path, text)


def remove(path: Path, key: str) -> None:
    """Take `key` out of the trust file, and leave all else as it is written; nothing if it is not named there."""
    if not path.exists() or key not in load(path).by_key():
        return
    blocks = _BLOCK.split(path.read_text(encoding="utf-8"))
    kept = [block for block in blocks if all(each.get("key") != key for each in tomllib.loads(block).get("key", ()))]
    _replace(path, "".join(kept))


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.new")
    try:
        scratch.write_text(text, encoding="utf-8")
        if path.exists():
            scratch.chmod(path.stat().st_mode & 0o777)
        scratch.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _written(entry: Entry) -> str:
    roles = ", ".join(_quoted(each.role if each.name == "*" else f"{each.role}:{each.name}") for each in entry.grants)
    lines = ["[[key]]", f"name = {_quoted(entry.name)}", f"key = {_quoted(entry.key)}", f"as = [{roles}]"]
    for field, value in (("from", entry.starts), ("until", entry.ends)):
        if 0.0 < value < inf:
            lines.append(f"{field} = {dt.datetime.fromtimestamp(value, dt.UTC):%Y-%m-%dT%H:%M:%SZ}")
    if entry.voices != "one":
        lines.append(f"voices = {_quoted(entry.voices)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
