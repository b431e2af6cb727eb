"""Key files and trust files: what is made, what is refused and in which words, and that nothing secret is shown."""

import copy
import os
import subprocess
from math import inf
from pathlib import Path

import pytest

from foa.adapters.keys import keyfile, trustfile
from foa.adapters.keys.ring import Ring
from foa.errors import ConfigError, WireError
from foa.settings import Settings
from foa.wire.trust.policy import PROBATION, Entry, Grant, Trust
from tests.trust.holders import ALICE, BOB, TOPICS, TRUST, entry, frame, guard

GOOD = f"""\
[[key]]
name = "sales"
key = "{ALICE.key}"
as = ["agent:acme/sales/*", "submitter"]
until = 2050-01-01

[[key]]
name = "owners"
key = "{BOB.key}"
as = ["coordinator"]
from = 2026-01-01T12:00:00Z
voices = "each"
"""


def test_a_new_key_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "c1.key"
    os.umask(0o022)
    public = keyfile.new(path)
    assert path.stat().st_mode & 0o777 == 0o600
    signer = keyfile.load(path)
    assert signer.key == public
    assert keyfile.Verifier()(public, signer.sign(b"x"), b"x")
    assert not keyfile.Verifier()(public, signer.sign(b"x"), b"y")
    with pytest.raises(ConfigError, match="never overwritten"):
        keyfile.new(path)
    assert keyfile.load(path).key == public


def test_openssl_reads_it(tmp_path: Path) -> None:
    keyfile.new(tmp_path / "a.key")
    command = ["openssl", "pkey", "-in", str(tmp_path / "a.key"), "-noout", "-text_pub"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert "ED25519" in done.stdout.upper(), done.stderr


def test_a_key_file_that_is_none_is_named_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    with pytest.raises(ConfigError, match="foa key new"):
        keyfile.load(path)
    keyfile.new(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        keyfile.load(path)
    path.chmod(0o600)
    secret = path.read_text().splitlines()[1]
    path.write_text(path.read_text().replace("-----BEGIN", "-----BEGUN"))
    with pytest.raises(ConfigError) as caught:
        keyfile.load(path)
    assert secret not in str(caught.value) + repr(caught.value.__context__)


def test_a_signer_shows_and_gives_away_nothing() -> None:
    assert repr(ALICE) == f"Signer({ALICE.key})"
    with pytest.raises(TypeError, match="stays"):
        copy.copy(ALICE)


def test_a_trust_file_says_who_may_what() -> None:
    trust = trustfile.parse(GOOD, "trust.toml")
    sales, owners = trust.entries
    assert (sales.name, sales.grants) == ("sales", (Grant("agent", "acme/sales/*"), Grant("submitter")))
    assert (sales.starts, sales.ends, sales.voices) == (0.0, 2524608000.0, "one")
    assert (owners.starts, owners.ends, owners.voices) == (1767268800.0, inf, "each")
    assert trust.voice("acme/sales/x") == "sales"
    assert trust.voice("acme/salesmen/x") == PROBATION
    assert trust.names_submitters()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "sales"', "name = 3", ["line 1", "name = 3"]),
        ('name = "sales"', 'name = "?"', ["line 1", "name"]),
        (f'key = "{ALICE.key}"', 'key = "abc"', ["line 1", "key", "foa key show"]),
        (f'key = "{ALICE.key}"', f'key = "{BOB.key}"', ["line 7", "line 1 already"]),
        ('as = ["agent:acme/sales/*", "submitter"]', 'as = "agent"', ["line 1", "as", "list"]),
        ('"submitter"]', '"boss"]', ["line 1", "'boss'", "coordinator"]),
        ('"submitter"]', '"submitter:x"]', ["line 1", "takes no name"]),
        ("agent:acme/sales/*", "agent:acme/sales*", ["line 1", "agent:acme/sales/*"]),
        ("agent:acme/sales/*", "agent:acme/sales", ["line 1", "identity"]),
        ("agent:acme/sales/*", "agent:a/b/c/d", ["line 1", "identity"]),
        ("agent:acme/sales/*", "agent:a/*/c", ["line 1", "identity"]),
        ("until = 2050-01-01", 'until = "2050"', ["line 1", "until", "without quotes"]),
        ("until = 2050-01-01", "until = 1960-01-01", ["line 1", "until", "later"]),
        ('voices = "each"', 'voices = "many"', ["line 7", "voices"]),
        ('voices = "each"', "extra = 1", ["line 7", "extra is no field"]),
        ('name = "sales"', "name = ", ["not TOML", "line 2"]),
        ("[[key]]", "[[keys]]", ["[[key]]"]),
    ],
)
def test_a_mistake_is_one_line_that_names_line_field_and_mend(old: str, new: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        trustfile.parse(GOOD.replace(old, new, 1), "trust.toml")
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("trust.toml")
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize("pattern", ["acme/sales/*", "acme/*", "*", "acme/sales/bot", "acme/sales/bot*"])
def test_these_names_are_patterns(pattern: str) -> None:
    assert trustfile.grant(f"agent:{pattern}", "x") == Grant("agent", pattern)


def test_what_is_appended_is_read_back_and_the_rest_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text("# by hand\n" + GOOD)
    new = Entry(
        'a "b" \\', guard_key := "A" * 42 + "0", (Grant("agent", "a/b/c"), Grant("operator")), 1.5e9, 2.5e9, "each"
    )
    trustfile.append(path, new)
    assert trustfile.load(path).entries == (*trustfile.parse(GOOD, "x").entries, new)
    assert path.read_text().startswith("# by hand\n" + GOOD)
    with pytest.raises(ConfigError, match="already"):
        trustfile.append(path, new)
    assert guard_key in path.read_text()
    trustfile.append(tmp_path / "fresh.toml", new)
    assert trustfile.load(tmp_path / "fresh.toml") == Trust((new,))


def _ring(tmp_path: Path, **more: object) -> Ring:
    made = {"security.key": str(tmp_path / "a.key"), "security.trust": str(tmp_path / "trust.toml"), **more}
    return Ring(Settings.from_mapping(made, "the test"), TOPICS, "c1")


def test_a_changed_trust_file_counts_and_a_broken_one_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foa.adapters.keys.ring.LOOK_S", 0.0)
    keyfile.new(tmp_path / "a.key")
    path = tmp_path / "trust.toml"
    path.write_text(GOOD)
    ring = _ring(tmp_path)
    said: list[str] = []
    ring.tell(lambda name, level, fields: said.append(name))
    sealed = guard(ALICE).seal(frame("answer/1/t/acme/sales/x"), 1)
    topic = TOPICS.parse(sealed.topic)
    ring.admit(topic, sealed)
    path.write_text("[[key]]")
    ring.admit(topic, sealed)
    path.unlink()
    ring.admit(topic, sealed)
    path.write_text("")
    with pytest.raises(WireError, match="unknown-key"):
        ring.admit(topic, sealed)
    assert said == ["key_not_trusted", "trust_unreadable", "trust_unreadable", "trust_read"]


def test_a_node_with_a_key_signs_its_card_and_its_will(tmp_path: Path) -> None:
    keyfile.new(tmp_path / "a.key")
    ring = _ring(tmp_path, **{"security.trust": ""})
    assert b"signatures" in ring.card(b"{}")
    assert ring.seal_will(frame("own/1")).properties[1][1].endswith(".0")
    assert not ring.seal(frame("own/1")).properties[1][1].endswith(".0")
    assert Ring(Settings.from_mapping({"security.rate": 5}, "x"), TOPICS, "c1").card(b"{}") == b"{}"


def test_one_key_with_two_names_is_a_mistake_and_two_keys_with_one_name_are_a_rotation() -> None:
    again = Trust((*TRUST.entries, entry("alice", BOB, "agent:acme/sales/new")))
    assert again.voice("acme/sales/new") == again.voice("acme/sales/old") == "alice"


def test_a_folder_of_keys_has_one_for_each_account(tmp_path: Path) -> None:
    for account in ("c1", "acme/sales/echo"):
        keyfile.new(keyfile.of_account(tmp_path, account))
    assert {each.name for each in tmp_path.iterdir()} == {"c1.seal", "acme.sales.echo.seal"}
    single = tmp_path / "c1.seal"
    assert keyfile.of_account(single, "whoever") == single
    with pytest.raises(ConfigError, match=r"security.key = .*c2.seal.*foa key new"):
        Ring(Settings.from_mapping({"security.key": str(tmp_path)}, "x"), TOPICS, "c2")
