"""Who gets into the embedded broker, and who may write and hear what there: `Gate`, a `ports.Access`.

It holds the files Mosquitto holds: passwords and the ACL that `foa.wire.acl` generates. Like Mosquitto with
``use_username_as_clientid`` it binds a process to its identity: an account of a process connects under its own name as
Client ID and no other, an account of people under any that is nobody's name. What a connection may do is found in a few
comparisons; sessions and routes remember the outcome, so that the hot path asks seldom.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

import mqtt5

from foa.bus.mqtt.broker.access.passwords import Passwords
from foa.bus.mqtt.broker.ports import Identity
from foa.wire.acl import CLIENT_ID
from foa.wire.acl.mosquitto import Acl

MAX_HELD: Final = 4096  # identities whose rules are remembered; forgotten all at once when full
_WILD: Final = ("+", "#")
_ConnAck = mqtt5.ConnAckReasonCode
_Levels = tuple[str, ...]


class Door(NamedTuple):
    """A set of accounts: their passwords, what they may do (None: everything), and if their name is their Client ID."""

    passwords: Passwords
    acl: Acl | None = None
    bound: bool = True


class _Rules(NamedTuple):
    write: tuple[_Levels, ...]
    hear: tuple[_Levels, ...]


class Gate:
    """What a broker lets in, and lets through."""

    def __init__(self, *doors: Door) -> None:
        """Begin with `doors`; the first that knows an account decides."""
        self.refused: Counter[str] = Counter()  # why nobody was let in, in a word
        self._doors = doors
        self._held: dict[Identity, _Rules | None] = {}

    def change(self, *doors: Door) -> None:
        """Hold these `doors` from now on; who is in already keeps its connection, and has its new rights."""
        self._doors = doors
        self._held.clear()

    def refusal(self, packet: mqtt5.ConnectPacket, certified: str = "") -> mqtt5.ConnAckReasonCode | None:
        """See `ports.Access`."""
        account = certified or packet.username or ""
        door = self._door(account)
        if certified and packet.username not in {None, "", certified}:
            return self._refuse("certificate", _ConnAck.BAD_USER_NAME_OR_PASSWORD)
        if not certified:
            passwords = (door or self._doors[0]).passwords
            if not passwords.check(account, packet.password or b"") or door is None:
                return self._refuse("credentials", _ConnAck.BAD_USER_NAME_OR_PASSWORD)
        if door is None:
            return self._refuse("certificate", _ConnAck.NOT_AUTHORIZED)
        if door.acl is not None and not self._owns(door, account, packet.client_id):
            return self._refuse("client-id", _ConnAck.CLIENT_ID_NOT_VALID)
        return None

    def may_write(self, who: Identity, topic: str) -> bool:
        """See `ports.Access`."""
        rules = self._rules(who)
        return rules is None or _within(rules.write, tuple(topic.split("/")))

    def may_hear(self, who: Identity, topic: str) -> bool:
        """See `ports.Access`."""
        rules = self._rules(who)
        return rules is None or _within(rules.hear, tuple(topic.split("/")))

    def may_ask(self, who: Identity, pattern: str) -> bool:
        """See `ports.Access`."""
        rules = self._rules(who)
        wanted = tuple(pattern.split("/"))
        return rules is None or any(_meet(granted, wanted) for granted in rules.hear)

    def _refuse(self, why: str, code: mqtt5.ConnAckReasonCode) -> mqtt5.ConnAckReasonCode:
        self.refused[why] += 1
        return code

    def _door(self, account: str) -> Door | None:
        return next((door for door in self._doors if account in door.passwords), None)

    def _owns(self, door: Door, account: str, client_id: str) -> bool:
        if door.bound:
            return client_id == account
        return not any(sign in client_id for sign in "+#/") and self._door(client_id) is None

    def _rules(self, who: Identity) -> _Rules | None:
        """Return what `who` may do, None for everything; who has no account any more may do nothing."""
        if who not in self._held:
            if len(self._held) >= MAX_HELD:
                self._held.clear()
            door = self._door(who.account)
            self._held[who] = _Rules((), ()) if door is None else _rules(door.acl, who)
        return self._held[who]


def unlocked(users: Mapping[str, str]) -> Gate:
    """Return a gate that asks for a password and then lets everything through."""
    return Gate(Door(Passwords(users)))


def _rules(acl: Acl | None, who: Identity) -> _Rules | None:
    if acl is None:
        return None
    granted = [
        (verb, tuple(pattern.replace(CLIENT_ID, who.client_id).split("/")))
        for verb, pattern in (*acl.everybody, *acl.accounts.get(who.account, ()))
    ]
    return _Rules(
        tuple(levels for verb, levels in granted if verb != "read"),
        tuple(levels for verb, levels in granted if verb != "write"),
    )


def _within(filters: tuple[_Levels, ...], topic: _Levels) -> bool:
    return any(_matches(levels, topic) for levels in filters)


def _matches(levels: _Levels, topic: _Levels) -> bool:
    """Tell whether a filter matches a topic; a leading wildcard matches none that begins with ``$``."""
    if topic[0].startswith("$") and levels[0] in _WILD:
        return False
    if levels[-1] == "#":
        levels = levels[:-1]
        topic = topic[: len(levels)]
    return len(levels) == len(topic) and all(given in {"+", level} for given, level in zip(levels, topic, strict=True))


def _meet(one: _Levels, other: _Levels) -> bool:
    """Tell whether some topic matches both filters."""
    for mine, theirs in zip(one, other, strict=False):
        if "#" in {mine, theirs}:
            return True
        if mine != theirs and "+" not in {mine, theirs}:
            return False
    longer = one if len(one) > len(other) else other
    return len(one) == len(other) or (abs(len(one) - len(other)) == 1 and longer[-1] == "#")
