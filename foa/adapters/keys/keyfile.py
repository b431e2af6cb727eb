"""Ed25519 keys in files: the private one as PKCS 8 in PEM, which openssl reads too; nobody but its owner may."""

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from foa.errors import ConfigError
from foa.wire.ids import node_of
from foa.wire.trust.seal import bytes_of, text_of

MAX_FILE: Final = 16_384
ENDING: Final = ".seal"
"""Of the key files in a folder of them."""

_FOREIGN: Final = stat.S_IWGRP | stat.S_IRWXO


class Signer:
    """A private key that signs; what is shown of it is the public one."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Sign with `private`."""
        self.sign = private.sign
        self.key = public_text(private)

    def __repr__(self) -> str:
        return f"Signer({self.key})"

    def __reduce__(self) -> str:
        """Refuse to be copied out of the process."""
        raise TypeError("a private key stays where it is")


def public_text(private: Ed25519PrivateKey) -> str:
    """Return the public key of `private` as it is written everywhere: 43 characters of base64url."""
    return text_of(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def seeded(seed: bytes) -> Signer:
    """Return the signer of 32 bytes: the same key for the same bytes, for tests and simulations."""
    return Signer(Ed25519PrivateKey.from_private_bytes(seed))


def new(path: Path) -> str:
    """Make a key in the file `path`, readable by its owner alone; return the public key. Never overwrites."""
    private = Ed25519PrivateKey.generate()
    body = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"{path}: is there already, and a key is never overwritten; choose another name") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    return public_text(private)


def of_account(path: Path, account: str) -> Path:
    """Return the key file of an account: `path` itself, or the one called so in the folder `path`."""
    return path / f"{node_of(account)}{ENDING}" if path.is_dir() else path


def load(path: Path, setting: str = "security.key") -> Signer:
    """Return the signer of a key file; ConfigError says what is wrong with it, never what is in it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            body = file.read(MAX_FILE)
    except OSError as error:
        mend = f"; 'foa key new {path}' makes one" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"{setting} = {str(path)!r}: cannot be read: {error.strerror}{mend}") from error
    if mode & _FOREIGN:
        raise ConfigError(f"{setting} = {str(path)!r}: others may read or change it; run 'chmod 600 {path}'")
    try:
        private = load_pem_private_key(body, None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, Ed25519PrivateKey):  # what was in it is not shown, nor why it is none
        raise ConfigError(f"{setting} = {str(path)!r}: holds no Ed25519 private key in PEM; make one: foa key new FILE")
    return Signer(private)


class Verifier:
    """Verifies signatures; what is made of the public keys asked for is kept, the first `most` of them."""

    def __init__(self, most: int = 10_000) -> None:
        """Know no key yet."""
        self._most = most
        self._known: dict[str, Ed25519PublicKey] = {}

    def __call__(self, key: str, signature: bytes, body: bytes) -> bool:
        """Tell whether `signature` of `body` is that of the public key `key`."""
        public = self._known.get(key)
        try:
            if public is None:
                public = Ed25519PublicKey.from_public_bytes(bytes_of(key))
                if len(self._known) < self._most:
                    self._known[key] = public
            public.verify(signature, body)
        except (InvalidSignature, ValueError):
            return False
        return True
