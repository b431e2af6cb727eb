"""What `security.*` makes of a node: the guard with its key, the wall clock, and a trust file that is read again."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from foa.errors import ConfigError
from foa.settings import Settings
from foa.wire.envelope import Frame
from foa.wire.topics import Topic, Topics
from foa.wire.trust.guard import Guard, Rules

if TYPE_CHECKING:
    from foa.wire.trust.policy import Trust

LOOK_S: Final = 1.0
"""The trust file is looked at this often, when frames come; who leaves it is not heard a second later."""

Say = Callable[[str, str, dict[str, str]], object]


class Ring:
    """The `foa.nodes.ports.Guard` of a node."""

    def __init__(self, settings: Settings, topics: Topics, account: str) -> None:
        """Read the key of `account` and the trust file; ConfigError if one cannot be."""
        chosen = settings.security
        self._path = Path(chosen.trust) if chosen.trust else None
        self._seen: tuple[int, int, int] | None = None
        self._looked = time.monotonic()
        self._sign_card: Callable[[bytes], bytes] | None = None
        self._said: list[tuple[str, str, dict[str, str]]] = []
        self._say: Say | None = None
        rules = Rules(
            skew_s=chosen.skew_s,
            refresh_s=settings.coordinator.refresh_s,
            probation=chosen.unknown == "probation",
            rate=chosen.rate,
            burst=chosen.burst,
        )
        life = time.time_ns() // 1000
        if not (chosen.key or chosen.trust):  # rates alone: no cryptography is loaded
            self.guard = Guard(rules, topics, life)
            return
        from foa.adapters.keys import keyfile  # noqa: PLC0415 - loaded only where something is signed or checked
        from foa.wire.trust.jws import signed_card  # noqa: PLC0415 - as the line above

        signer = keyfile.load(keyfile.of_account(Path(chosen.key), account)) if chosen.key else None
        verify = keyfile.Verifier() if chosen.trust else None
        key, sign = (signer.key, signer.sign) if signer is not None else ("", None)
        self.guard = Guard(rules, topics, life, key=key, sign=sign, verify=verify)
        if signer is not None:
            self._sign_card = lambda body: signed_card(body, signer.key, signer.sign)
        if self._path is not None:
            self._seen = _mark(self._path)
            trust = _read(self._path)
            self.guard.trusting(trust)
            if key and key not in trust.by_key():
                self._note("key_not_trusted", "warning", {"key": key, "trust": str(self._path)})

    def tell(self, say: Say) -> None:
        """Have `say` told what is noticed, and what was noticed so far."""
        self._say = say
        for line in self._said:
            say(*line)
        self._said.clear()

    def _note(self, name: str, level: str, fields: dict[str, str]) -> None:
        if self._say is None:
            self._said.append((name, level, fields))
        else:
            self._say(name, level, fields)

    def seal(self, frame: Frame) -> Frame:
        """Return `frame` sealed."""
        return self.guard.seal(frame, _now())

    def seal_will(self, frame: Frame) -> Frame:
        """Return a will sealed beforehand."""
        return self.guard.seal_will(frame)

    def admit(self, topic: Topic, frame: Frame) -> None:
        """Return if `frame` is to be believed; WireError says why it is not."""
        if self._path is not None and time.monotonic() - self._looked >= LOOK_S:
            self._look(self._path)
        self.guard.admit(topic, frame, _now())

    def voice(self, agent: str) -> str:
        """Return whose voice an agent has where voices count."""
        return self.guard.voice(agent)

    def card(self, body: bytes) -> bytes:
        """Return a card signed as A2A says; as it is where there is no key."""
        return body if self._sign_card is None else self._sign_card(body)

    def _look(self, path: Path) -> None:
        """Read the trust file again if it changed; one that cannot be read leaves what was read before."""
        self._looked = time.monotonic()
        mark = _mark(path)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            trust = _read(path)
        except ConfigError as error:
            self._note("trust_unreadable", "error", {"detail": str(error)})
            return
        self.guard.trusting(trust)
        self._note("trust_read", "info", {"trust": str(path), "keys": str(len(trust.entries))})


def _read(path: Path) -> "Trust":
    from foa.adapters.keys import trustfile  # noqa: PLC0415 - only where there is one

    return trustfile.load(path)


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Return what tells one state of a file from another."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _now() -> int:
    return time.time_ns() // 1000
