"""The folder of a secured federation: certificates, accounts, access control, and a settings file for each account.

::

    federation.json          who has an account, in which role, where the broker is: from it all else is written
    ca.crt ca.key            the authority; ca.key is needed to renew and to add, and for nothing else
    server.crt server.key    the broker's
    passwords acl            accounts of processes (hashed) and what they may
    people.passwords people.acl
    mosquitto.conf           Mosquitto on all of this; the embedded broker takes the folder itself (--secured)
    credentials local.toml   the passwords of all processes, and settings for those that run on this machine
    clients/NAME.toml        settings of one account; copy it, and ca.crt, to where that process runs
    clients/NAME.seal        the key that the account signs with; copy it too, and trust.toml
    trust.toml               the public keys of all of them; yours to add to

Who submits has no key: accounts say who may, so that any MQTT client can. All is readable by its owner alone.
"""

import getpass
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from foa.adapters.certificates import Pair, Term, authority, check_hosts, issue
from foa.adapters.keys import keyfile, trustfile
from foa.bus.mqtt.broker.access import files, passwords
from foa.cli.securing import mosquitto
from foa.errors import ConfigError
from foa.wire.acl import PEOPLE, ROLES, SERVICES, Role
from foa.wire.acl.mosquitto import written
from foa.wire.ids import is_segment, node_of
from foa.wire.trust.policy import Entry, Grant

FEDERATION: Final = "federation.json"
CREDENTIALS: Final = "credentials"
LOCAL: Final = "local.toml"
CLIENTS: Final = "clients"
CONF: Final = "mosquitto.conf"
CA_KEY: Final = "ca.key"
TRUST: Final = "trust.toml"
SEALED: Final[tuple[Role, ...]] = ("coordinator", "index", "agent", "gateway", "operator")
CA_DAYS: Final = 3650
PASSWORD_BYTES: Final = 24
HOSTS: Final = ("localhost", "127.0.0.1", "::1")
"""Names that a broker on this machine is reached by; its certificate always holds them."""

LEVELS: Final = 3  # of an agent's identity
MAX_ACCOUNTS: Final = 100_000


class Federation(msgspec.Struct):
    """What a folder is made for. ``hosts``: the broker's names, the first one is what clients are told.

    ``sealed``: what accounts of `SEALED` roles say is signed, and believed only then.
    """

    hosts: tuple[str, ...]
    port: int = 8883
    people_port: int = 8884
    root: str = "foa/v1"
    days: int = 825
    sealed: bool = True
    accounts: dict[Role, list[str]] = {}


class Folder:
    """A folder that is there. Every change writes what follows from it."""

    def __init__(self, path: Path, federation: Federation) -> None:
        """Use `create` or `opened`."""
        self.path = path.absolute()
        self.federation = federation
        self._stored = self._read(files.PASSWORDS) | self._read(files.PEOPLE_PASSWORDS)

    @classmethod
    def create(cls, path: Path, federation: Federation) -> "Folder":
        """Make the folder; ConfigError if it is there already."""
        check_hosts(federation.hosts)
        if (path / FEDERATION).exists():
            raise ConfigError(f"{path}: is a secured federation already; 'foa broker account' changes its accounts")
        try:
            (path / CLIENTS).mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be made: {error.strerror}") from None
        wanted, federation.accounts = federation.accounts, {}
        folder = cls(path, federation)
        signer = authority(f"foa {federation.hosts[0]}", Term(_now(), CA_DAYS))
        folder._keep(files.CA, signer.cert)
        folder._keep(CA_KEY, signer.key)
        if federation.sealed:
            folder._keep(TRUST, b"# Who may say what, by public key; see 'foa key trust --help'.\n")
        folder.renew()
        folder.add(wanted)
        return folder

    @classmethod
    def opened(cls, path: Path) -> "Folder":
        """Open the folder; ConfigError if it is none."""
        try:
            federation = msgspec.json.decode((path / FEDERATION).read_bytes(), type=Federation)
        except FileNotFoundError:
            raise ConfigError(f"{path}: holds no {FEDERATION}; make it with 'foa broker init {path}'") from None
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(f"{path / FEDERATION}: cannot be read: {error}") from None
        return cls(path, federation)

    @property
    def names(self) -> dict[str, Role]:
        """Every account and its role."""
        return {name: role for role in ROLES for name in self.federation.accounts.get(role, ())}

    def renew(self) -> None:
        """Make a new certificate for the broker; its clients need nothing new."""
        hosts = tuple(dict.fromkeys((*self.federation.hosts, *HOSTS)))
        pair = self._issue("broker", hosts)
        self._keep(files.CERT, pair.cert)
        self._keep(files.KEY, pair.key)

    def certify(self, account: str) -> tuple[Path, Path]:
        """Make a certificate for an account, for brokers that ask for one; return its files."""
        if account not in self.names:
            raise ConfigError(f"{account}: has no account in {self.path}; add it with 'foa broker account add'")
        pair = self._issue(account, ())
        name = f"{CLIENTS}/{node_of(account)}"
        return self._keep(f"{name}.crt", pair.cert), self._keep(f"{name}.key", pair.key)

    def add(self, wanted: Mapping[Role, Iterable[str]]) -> list[str]:
        """Add the accounts that are not there yet and return their names; ConfigError if a name cannot be one."""
        known, taken = self.names, {node_of(name): name for name in self.names}
        added: dict[str, str] = {}
        for role, names in wanted.items():
            for name in names:
                if known.get(name) == role:
                    continue
                check_name(name, role)
                if (other := taken.get(node_of(name))) is not None:
                    raise ConfigError(f"{name}: is too like {other!r}, which has an account; choose another name")
                added[name] = secrets.token_urlsafe(PASSWORD_BYTES)
                taken[node_of(name)] = name
                self.federation.accounts.setdefault(role, []).append(name)
        if len(self.names) > MAX_ACCOUNTS:
            raise ConfigError(f"{self.path}: more than {MAX_ACCOUNTS} accounts")
        for name, password in added.items():
            self._stored[name] = passwords.hashed(password, secrets.token_bytes(passwords.SALT_BYTES))
        self._write(added)
        return list(added)

    def remove(self, name: str) -> None:
        """Take an account away; ConfigError if there is none."""
        role = self.names.get(name)
        if role is None:
            raise ConfigError(f"{name}: has no account in {self.path}; 'foa broker account list' shows who has")
        self.federation.accounts[role].remove(name)
        del self._stored[name]
        if (seal := self._seal(name)).exists():
            trustfile.remove(self.path / TRUST, keyfile.load(seal).key)
        for ending in ("toml", "crt", "key", "seal"):
            (self.path / CLIENTS / f"{node_of(name)}.{ending}").unlink(missing_ok=True)
        self._write({})

    def client(self, name: str) -> Path:
        """Return where the settings of an account are."""
        return self.path / CLIENTS / f"{node_of(name)}.toml"

    # What follows from it.

    def _write(self, added: Mapping[str, str]) -> None:
        known = self.names
        plain = {**self._plain(), **{name: word for name, word in added.items() if known[name] in SERVICES}}
        federation = self.federation
        self._keep(FEDERATION, msgspec.json.format(msgspec.json.encode(federation), indent=2) + b"\n")
        for roles, secret, rules in (
            (SERVICES, files.PASSWORDS, files.ACL),
            (PEOPLE, files.PEOPLE_PASSWORDS, files.PEOPLE_ACL),
        ):
            accounts: dict[Role, Sequence[str]] = {role: federation.accounts.get(role, ()) for role in roles}
            stored = {name: self._stored[name] for names in accounts.values() for name in names}
            self._keep(secret, passwords.written(stored).encode())
            self._keep(rules, written(accounts, federation.root).encode())
        self._keep(CREDENTIALS, "".join(f"{n}:{w}\n" for n, w in plain.items() if n in known).encode())
        self._keep(LOCAL, self._local().encode())
        folder, address = str(self.path), "127.0.0.1" if federation.hosts[0] in HOSTS else ""
        ports = (federation.port, federation.people_port)
        place = mosquitto.Place(folder, f"{folder}/{CONF}", *ports, address, getpass.getuser())
        self._keep(CONF, mosquitto.configuration(place).encode())
        for name, password in added.items():
            if federation.sealed and known[name] in SEALED:
                key = keyfile.new(self._seal(name))
                grant = Grant(known[name], "*" if known[name] == "operator" else name)
                trustfile.append(self.path / TRUST, Entry(node_of(name), key, (grant,)))
            self._keep(f"{CLIENTS}/{node_of(name)}.toml", self._settings(name, known[name], password).encode())

    def _settings(self, name: str, role: Role, password: str) -> str:
        """Return the settings file of an account."""
        words = f"{role} {name}: its settings and its password. Nobody else may read this file."
        more = {"node": {"name": name}} if role in {"coordinator", "index"} else {}
        more |= self._security(self._seal(name) if role in SEALED else None)
        return self._toml(words, self._broker(people=role in PEOPLE) | {"username": name, "password": password}, more)

    def _local(self) -> str:
        """Return the settings file of all processes on this machine."""
        words = "Every process on this machine: each finds its own password under its name."
        passwords_ = {"password_file": str(self.path / CREDENTIALS)}
        return self._toml(words, self._broker(people=False) | passwords_, self._security(self.path / CLIENTS))

    def _security(self, key: Path | None) -> dict[str, dict[str, str]]:
        """Return the settings of who signs with `key` (None: who does not) and believes the folder's trust file."""
        if not self.federation.sealed:
            return {}
        return {"security": ({} if key is None else {"key": str(key)}) | {"trust": str(self.path / TRUST)}}

    def _seal(self, name: str) -> Path:
        return keyfile.of_account(self.path / CLIENTS, name)

    def _broker(self, *, people: bool) -> dict[str, str]:
        federation = self.federation
        port = federation.people_port if people else federation.port
        return {"url": f"mqtts://{_literal(federation.hosts[0])}:{port}", "ca": str(self.path / files.CA)}

    def _toml(self, words: str, broker: Mapping[str, str], more: Mapping[str, Mapping[str, str]]) -> str:
        groups = {"broker": broker, "wire": {"root": self.federation.root}, **more}
        tables = [
            f"[{group}]\n" + "".join(f"{key} = {msgspec.json.encode(value).decode()}\n" for key, value in rows.items())
            for group, rows in groups.items()
        ]
        return f"# {words}\n" + "\n".join(tables)

    def _plain(self) -> dict[str, str]:
        return self._read(CREDENTIALS)

    def _read(self, name: str) -> dict[str, str]:
        path = self.path / name
        return passwords.read(files.text_of(path), str(path)) if path.exists() else {}

    def _issue(self, name: str, hosts: Sequence[str]) -> Pair:
        try:
            signer = Pair((self.path / files.CA).read_bytes(), (self.path / CA_KEY).read_bytes())
        except OSError as error:
            raise ConfigError(
                f"{self.path}: the authority cannot be read ({error.strerror}): {error.filename}"
            ) from None
        return issue(signer, name, hosts, Term(_now(), self.federation.days))

    def _keep(self, name: str, body: bytes) -> Path:
        """Write a file for its owner alone; it holds all of `body`, or is left as it was."""
        path = self.path / name
        scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(body)
            scratch.replace(path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
        return path


def check_name(name: str, role: Role) -> None:
    """Raise ConfigError if no account of `role` can be called so: it is an identity, and so a Client ID."""
    levels = name.split("/")
    if role == "agent" and not (len(levels) == LEVELS and all(map(is_segment, levels))):
        raise ConfigError(f"{name}: an agent's account is called as the agent, org/unit/agent")
    if role != "agent" and not is_segment(name):
        raise ConfigError(f"{name}: the account of a {role} is 1 to 64 characters of A-Z a-z 0-9 _ . -")


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - certificates hold by the wall clock


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
