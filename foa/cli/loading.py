"""Where settings come from: flags, then ``FOA_*``, then ``foa.toml``, then the defaults; `foa.settings` decides."""

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from foa.errors import ConfigError

if TYPE_CHECKING:
    import typer

    from foa.settings import Settings

FILE: Final = "foa.toml"
CONFIG: Final = "FOA_CONFIG"
FLAGS: Final = "the command line"
QUIET: Final[Mapping[str, Any]] = {"log.level": "error"}
"""Defaults of commands that print an answer: what goes wrong is said by the command itself, once."""


class Loaded(NamedTuple):
    """The settings, and for every dotted key where its value came from."""

    settings: "Settings"
    sources: dict[str, str]


class Options(NamedTuple):
    """What was said before and between the words of a command: settings by dotted key, a file, ``--json``."""

    flags: dict[str, str]
    config: Path | None = None
    json: bool = False

    def load(self, defaults: Mapping[str, Any] | None = None) -> Loaded:
        """Return the settings in force; `defaults` are a command's own and lose against everything said."""
        from foa.settings import from_env, resolve

        source, mapping = read_file(self.config, os.environ)
        layers = [
            ("default", defaults or {}),
            (source, mapping),
            ("the environment", from_env(os.environ)),
            (FLAGS, self.flags),
        ]
        return Loaded(*resolve(layers))

    def environment(self, changes: Mapping[str, Any]) -> dict[str, str]:
        """Return the environment in which a child process has these options, and `changes` on top.

        Not as arguments: those are shown to every user of the machine, and a password may be among them.
        """
        found = dict(os.environ)
        if self.config is not None:
            found[CONFIG] = str(self.config)
        for key, value in {**self.flags, **changes}.items():
            found[f"FOA_{key.replace('.', '_').upper()}"] = str(value)
        if "wire.root" in self.flags:
            found.pop("FOA_TOPIC_ROOT", None)
        return found


def options_of(ctx: "typer.Context") -> Options:
    """Return what the root command took."""
    found = ctx.obj
    assert isinstance(found, Options)
    return found


def options(
    sets: list[str],
    broker: str | None = None,
    root: str | None = None,
    level: str | None = None,
    config: Path | None = None,
) -> Options:
    """Return the options of a command line; ConfigError if a ``--set`` is not key=value."""
    flags = dict(_pair(each) for each in sets)
    named = {"broker.url": broker, "wire.root": root, "log.level": level}
    return Options({**flags, **{key: value for key, value in named.items() if value is not None}}, config)


def _pair(text: str) -> tuple[str, str]:
    from foa.settings import check_flag

    key, sign, value = text.partition("=")
    if not sign:
        raise ConfigError(f"--set {text}: must be key=value, such as --set index.model=hash")
    check_flag(key.strip())
    return key.strip(), value


def read_file(config: Path | None, environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the name and the content of the settings file: the one given, else ``foa.toml`` here if there is one."""
    given = config or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    path = given or Path(FILE)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        _warn_if_exposed(path, found)
        return str(path), found
    except FileNotFoundError as error:
        if given is None:
            return FILE, {}
        raise ConfigError(f"{path}: there is no such file; leave --config out to use {FILE} of this folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _warn_if_exposed(path: Path, settings: Mapping[str, Any]) -> None:
    broker = settings.get("broker")
    if isinstance(broker, dict) and broker.get("password") and path.stat().st_mode & 0o077:
        sys.stderr.write(f"foa: {path}: holds a password, and others on this machine may read it; chmod 600 {path}\n")


def cache_folder() -> Path:
    """Return where what is dear to compute is kept between runs: ``$XDG_CACHE_HOME/foa`` or ``~/.cache/foa``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "foa"
