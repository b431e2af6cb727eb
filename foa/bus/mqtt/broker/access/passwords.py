"""Accounts and their passwords: Mosquitto's password file, written and checked with the standard library alone.

One line an account, ``name:$7$iterations$salt$hash`` (PBKDF2-SHA512, as ``mosquitto_passwd`` writes), so that the
embedded broker and Mosquitto hold the same file. A plain ``name:password`` is taken as well, and warned of.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import pbkdf2_hmac, sha256, sha512
from typing import Final

from foa.errors import ConfigError

ITERATIONS: Final = 10_000  # some milliseconds: a broker checks in its one thread. Made passwords are random anyway
MAX_ITERATIONS: Final = 1_000_000
MAX_KNOWN: Final = (
    4096  # correct passwords remembered (as digests) for quick reconnects; forgotten all at once when full
)
SALT_BYTES: Final = 12
_HASH_BYTES: Final = 64
_HASHED: Final = ("$7$", "$6$")


def hashed(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return what stands for `password` in a password file; `salt` is random, `SALT_BYTES` long."""
    found = pbkdf2_hmac("sha512", password.encode(), salt, iterations, _HASH_BYTES)
    return f"$7${iterations}${b64encode(salt).decode()}${b64encode(found).decode()}"


def is_hashed(stored: str) -> bool:
    """Tell whether `stored` is no plain password."""
    return stored.startswith(_HASHED)


def matches(stored: str, password: bytes) -> bool:
    """Tell whether `password` is the one that `stored` stands for."""
    if not is_hashed(stored):
        return hmac.compare_digest(stored.encode(), password)
    kind, *fields = stored.split("$")[1:]
    try:
        if kind == "7":
            iterations, salt, wanted = int(fields[0]), b64decode(fields[1]), b64decode(fields[2])
            found = pbkdf2_hmac("sha512", password, salt, min(iterations, MAX_ITERATIONS), len(wanted) or 1)
        else:
            salt, wanted = b64decode(fields[0]), b64decode(fields[1])
            found = sha512(password + salt).digest()
    except (ValueError, IndexError, binascii.Error):
        return False
    return hmac.compare_digest(found, wanted)


def read(text: str, name: str) -> dict[str, str]:
    """Return what stands for each account's password; ConfigError names the file and the line that is none."""
    accounts: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        account, colon, stored = line.partition(":")
        if not colon or not account:
            raise ConfigError(f"{name}: line {number} must be name:password")
        accounts[account] = stored
    return accounts


def written(accounts: Mapping[str, str]) -> str:
    """Return the file of `accounts`."""
    return "".join(f"{account}:{stored}\n" for account, stored in sorted(accounts.items()))


class Passwords:
    """Who has which password."""

    def __init__(self, accounts: Mapping[str, str]) -> None:
        """Take ``accounts``: what stands for the password of each."""
        self._accounts = dict(accounts)
        self._known: set[bytes] = set()

    def __contains__(self, account: object) -> bool:
        """Tell whether there is such an account."""
        return account in self._accounts

    @property
    def plain(self) -> Iterable[str]:
        """The accounts whose password anybody who reads the file knows."""
        return [account for account, stored in self._accounts.items() if not is_hashed(stored)]

    def check(self, account: str, password: bytes) -> bool:
        """Tell whether that is the account's password. An unknown account takes as long as a known one."""
        stored = self._accounts.get(account)
        mark = sha256(account.encode() + b"\0" + password).digest()
        if mark in self._known:
            return True
        if stored is None:
            stored, password = next(iter(self._accounts.values()), ""), b"\0no password has this"
        if not matches(stored, password):
            return False
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known.add(mark)
        return True
