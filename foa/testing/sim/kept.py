"""Scenarios that failed once, kept as files and run for ever: each tells its story in its name and its first field."""

from pathlib import Path
from typing import Final

import msgspec

from foa.errors import ConfigError
from foa.testing.sim.scenario import Scenario

FOLDER: Final = Path("tests/sim/kept")


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scenario with what was found in it: the word of the law that broke, and how."""

    word: str
    detail: str
    scenario: Scenario
    mutant: str = ""


def write(folder: Path, kept: Kept) -> Path:
    """Write a scenario into `folder`, named after its seed and its law; return where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kept.scenario.seed}-{kept.word}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
    return path


def read(path: Path) -> Kept:
    """Return what was kept; ConfigError if the file holds no such thing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: {why}; give a file that 'foa sim --shrink SEED --keep' wrote") from error
