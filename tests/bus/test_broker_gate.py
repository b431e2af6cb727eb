"""Who the embedded broker lets in, and what it lets through: passwords, bound Client IDs, certificates, the ACL."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.adapters.certificates import Term, authority, issue
from foa.bus import tls
from foa.bus.mqtt.broker.access import Door, Gate, passwords, unlocked
from foa.bus.mqtt.broker.access.files import doors, warnings
from foa.bus.mqtt.broker.access.passwords import Passwords, hashed, matches
from foa.bus.mqtt.broker.ports import Identity
from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Options, Tls
from foa.cli.securing.folder import Federation, Folder
from foa.errors import BusError, ConfigError, Refused
from foa.wire.acl.mosquitto import Acl, read, written
from tests.e2e.secured import Ear

SALT = b"0123456789ab"
ACL = read(written({"coordinator": ["c1"], "agent": ["a/b/c"]}), "acl")
PEOPLE = read(written({"submitter": ["ann"]}), "people")
SEGMENT = st.sampled_from(["foa", "v1", "own", "5", "task", "t", "result", "reply", "c1", "x", "$SYS", "discovery"])


def gate() -> Gate:
    services = {"c1": hashed("one", SALT), "a/b/c": hashed("two", SALT)}
    return Gate(Door(Passwords(services), ACL), Door(Passwords({"ann": hashed("three", SALT)}), PEOPLE, bound=False))


def connect(client_id: str, username: str | None, password: str | None) -> mqtt5.ConnectPacket:
    return mqtt5.ConnectPacket(client_id, username=username, password=None if password is None else password.encode())


@pytest.mark.parametrize(
    ("client_id", "username", "password", "code"),
    [
        ("c1", "c1", "one", None),
        ("a/b/c", "a/b/c", "two", None),
        ("client-1", "ann", "three", None),
        ("c1", "c1", "two", 0x86),
        ("c1", "c1", None, 0x86),
        ("c1", None, None, 0x86),
        ("x", "x", "one", 0x86),
        ("x", "", "", 0x86),
        ("c2", "c1", "one", 0x85),
        ("", "c1", "one", 0x85),
        ("c1", "a/b/c", "two", 0x85),
        ("c1", "ann", "three", 0x85),
        ("a/b/c", "ann", "three", 0x85),
        ("x/y/z", "ann", "three", 0x85),
        ("+", "ann", "three", 0x85),
    ],
)
def test_who_gets_in(client_id: str, username: str | None, password: str | None, code: int | None) -> None:
    refusal = gate().refusal(connect(client_id, username, password))
    assert (None if refusal is None else int(refusal)) == code


def test_a_certificate_speaks_for_its_account_and_no_other() -> None:
    held = gate()
    assert held.refusal(connect("c1", None, None), "c1") is None
    assert held.refusal(connect("c1", "c1", None), "c1") is None
    assert held.refusal(connect("c1", "a/b/c", "two"), "c1") is not None
    assert held.refusal(connect("a/b/c", None, None), "c1") is not None
    assert held.refusal(connect("gone", None, None), "gone") is not None
    assert held.refused.keys() == {"certificate", "client-id"}


def test_what_is_removed_may_nothing_at_once() -> None:
    held, who = gate(), Identity("c1", "c1")
    assert held.may_write(who, "foa/v1/own/5")
    held.change(Door(Passwords({}), ACL))
    assert not held.may_write(who, "foa/v1/own/5")
    assert not held.may_hear(who, "foa/v1/own/5")


def test_without_an_acl_a_password_opens_everything() -> None:
    held = unlocked({"ann": "x"})
    assert held.refusal(connect("anything", "ann", "x")) is None
    assert held.may_write(Identity("ann", "anything"), "any/topic")


def _fits(pattern: str, topic: str) -> bool:
    levels, given_levels = pattern.split("/"), topic.split("/")
    return len(levels) == len(given_levels) and all(a in {"+", b} for a, b in zip(levels, given_levels, strict=True))


@given(st.lists(SEGMENT, min_size=1, max_size=7), st.sampled_from(["c1", "a/b/c", "ann"]))
def test_the_gate_says_what_the_file_says(levels: list[str], account: str) -> None:
    topic, held = "/".join(levels), gate()
    identity = Identity(account, "x" if account == "ann" else account)
    acl: Acl = PEOPLE if account == "ann" else ACL
    granted = [
        (verb, pattern.replace("%c", identity.client_id)) for verb, pattern in acl.everybody + acl.accounts[account]
    ]
    for asked, may in (("write", held.may_write), ("read", held.may_hear)):
        assert may(identity, topic) == any(asked in verb and _fits(pattern, topic) for verb, pattern in granted)
    if held.may_hear(identity, topic):
        for pattern in (topic, "#", "+/#", "/".join(["+"] * len(levels)), f"{topic}/#"):
            assert held.may_ask(identity, pattern)


def test_nothing_is_asked_in_vain() -> None:
    held, agent = gate(), Identity("a/b/c", "a/b/c")
    refused = ["foa/v1/task/#", "foa/v1/answer/+/+/+/+/+", "foa/v1/request/+/x/+", "foa/v1/reply/c1/+", "other/#", "+"]
    assert [pattern for pattern in refused if held.may_ask(agent, pattern)] == []
    assert held.may_ask(agent, "foa/v1/request/+/+/c")
    assert held.may_ask(agent, "foa/v1/discovery/#")


@given(st.text(max_size=20), st.binary(max_size=20))
def test_a_password_is_found_again_and_no_other(word: str, other: bytes) -> None:
    stored = hashed(word, SALT, 3)
    assert matches(stored, word.encode())
    assert matches(stored, other) == (other == word.encode())


def test_junk_is_no_password_and_no_file() -> None:
    for junk in ("$7$", "$7$x$y$z", "$6$a", "$7$10$!!$!!"):
        assert not matches(junk, b"hush")
    assert passwords.read("# c\na:b:c\n\n", "f") == {"a": "b:c"}
    with pytest.raises(ConfigError, match="f: line 2 must be name:password"):
        passwords.read("a:b\nno colon\n", "f")


def test_files_with_secrets_are_warned_of(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("ann:plain\n")
    users.chmod(0o644)
    plain, exposed = warnings(users, None)
    assert "foa broker hash" in plain
    assert "chmod 600" in exposed
    Folder.create(tmp_path / "secured", Federation(("127.0.0.1",), accounts={"agent": ["a/b/c"]}))
    assert warnings(None, tmp_path / "secured") == []
    assert [door.bound for door in doors(None, tmp_path / "secured")] == [True, False]


@pytest.mark.slow
def test_a_client_certificate_is_an_account_over_tls(tmp_path: Path) -> None:
    term = Term(datetime.now(UTC), 2)  # noqa: TID251 - certificates are held against the real clock
    signer, stranger = authority("ours", term), authority("theirs", term)
    named = {
        "ca": signer, "server": issue(signer, "broker", ["127.0.0.1"], term),
        "c1": issue(signer, "c1", [], term), "forged": issue(stranger, "c1", [], term),
    }  # fmt: skip
    for name, pair in named.items():
        (tmp_path / f"{name}.crt").write_bytes(pair.cert)
        (tmp_path / f"{name}.key").write_bytes(pair.key)
    path = {name: (str(tmp_path / f"{name}.crt"), str(tmp_path / f"{name}.key")) for name in named}

    async def attempt(port: int, client_id: str, name: str) -> None:
        bus = MqttBus(Options(client_id, port=port, tls=Tls(path["ca"][0], *path[name])), Ear())
        await bus.open(3)
        await bus.close()

    async def main() -> None:
        server = BrokerServer(access=gate(), tls=tls.serving(*path["server"], path["ca"][0]))
        await server.start("127.0.0.1", 0)
        await attempt(server.port, "c1", "c1")
        with pytest.raises(Refused, match="0x85"):
            await attempt(server.port, "a/b/c", "c1")
        with pytest.raises(BusError, match="does not take our certificate"):
            await attempt(server.port, "c1", "forged")
        await server.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
