"""The folder that ``foa broker init`` makes, as the embedded broker reads it; Mosquitto reads the same files."""

import os
from pathlib import Path
from typing import Final

from foa.bus.mqtt.broker.access import Door
from foa.bus.mqtt.broker.access import passwords as form
from foa.bus.mqtt.broker.access.passwords import Passwords
from foa.errors import ConfigError
from foa.wire.acl.mosquitto import read

PASSWORDS: Final = "passwords"
ACL: Final = "acl"
PEOPLE_PASSWORDS: Final = "people.passwords"
PEOPLE_ACL: Final = "people.acl"
CA: Final = "ca.crt"
CERT: Final = "server.crt"
KEY: Final = "server.key"


def text_of(path: Path) -> str:
    """Return the text of a file; ConfigError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}") from None


def users(path: Path) -> Passwords:
    """Return the accounts of a password file."""
    return Passwords(form.read(text_of(path), str(path)))


def doors(path: Path | None, folder: Path | None) -> tuple[Door, ...]:
    """Return whom to let in: the accounts of a ``--users`` file, or of a folder; none if everybody may come.

    A folder has accounts of processes, bound to their Client IDs, and of people. ConfigError for a file that is no use.
    """
    if folder is None:
        return () if path is None else (Door(users(path)),)
    acl, people = folder / ACL, folder / PEOPLE_ACL
    return (
        Door(users(folder / PASSWORDS), read(text_of(acl), str(acl))),
        Door(users(folder / PEOPLE_PASSWORDS), read(text_of(people), str(people)), bound=False),
    )


def warnings(path: Path | None, folder: Path | None) -> list[str]:
    """Return a line for each file that tells a secret to who should not know it."""
    secret = [path] if path is not None else []
    if folder is not None:
        secret += [folder / PASSWORDS, folder / PEOPLE_PASSWORDS]
    found = [
        f"{each}: the password of {plain[0]!r} is plain text; 'foa broker hash {each}' mends that"
        for each in secret
        if (plain := sorted(users(each).plain))
    ]
    if folder is not None:
        secret.append(folder / KEY)
    found += [
        f"{each}: others on this machine may read it; chmod 600 {each}"
        for each in secret
        if os.stat(each).st_mode & 0o077  # noqa: PTH116 - one system call is enough
    ]
    return found
