"""The folder of a secured federation: who has a key, whom the trust file names, and what settings say of both."""

import tomllib
from pathlib import Path

import pytest

from foa.adapters.keys import keyfile, trustfile
from foa.cli.securing.folder import CLIENTS, LOCAL, TRUST, Federation, Folder
from foa.settings import Settings
from foa.wire.trust.policy import Entry, Grant

AGENT = "acme/sales/quote"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    accounts = {"coordinator": ["c1"], "index": ["i1"], "agent": [AGENT], "submitter": ["ann"], "operator": ["ops"]}
    return Folder.create(tmp_path / "secured", Federation(("127.0.0.1",), accounts=accounts))  # type: ignore[arg-type]


def test_every_account_but_a_submitters_has_a_key_that_the_trust_file_names(folder: Folder) -> None:
    named = {entry.name: entry for entry in trustfile.load(folder.path / TRUST).entries}
    assert {name: entry.grants for name, entry in named.items()} == {
        "c1": (Grant("coordinator", "c1"),),
        "i1": (Grant("index", "i1"),),
        "acme.sales.quote": (Grant("agent", AGENT),),
        "ops": (Grant("operator"),),
    }
    for account in ("c1", AGENT, "ops"):
        file = keyfile.of_account(folder.path / CLIENTS, account)
        assert file.stat().st_mode & 0o777 == 0o600
        assert keyfile.load(file).key in {entry.key for entry in named.values()}
        settings = Settings.from_mapping(tomllib.loads(folder.client(account).read_text()), "x")
        assert (settings.security.key, settings.security.trust) == (str(file), str(folder.path / TRUST))
    ann = Settings.from_mapping(tomllib.loads(folder.client("ann").read_text()), "x")
    assert (ann.security.key, ann.security.trust) == ("", str(folder.path / TRUST))
    local = Settings.from_mapping(tomllib.loads((folder.path / LOCAL).read_text()), "x")
    assert local.security.key == str(folder.path / CLIENTS)


def test_who_leaves_is_believed_no_more_and_what_others_wrote_stays(folder: Folder) -> None:
    path = folder.path / TRUST
    theirs = keyfile.seeded(bytes(32)).key
    trustfile.append(path, Entry("partner", theirs, (Grant("agent", "partner/*"),)))
    path.write_text("# by hand\n" + path.read_text())
    folder.remove(AGENT)
    assert {entry.name for entry in trustfile.load(path).entries} == {"c1", "i1", "ops", "partner"}
    assert path.read_text().startswith("# by hand\n")
    assert not keyfile.of_account(folder.path / CLIENTS, AGENT).exists()
    folder.add({"agent": [AGENT]})
    assert trustfile.load(path).voice(AGENT) == "acme.sales.quote"


def test_one_without_seals_has_neither_keys_nor_trust(tmp_path: Path) -> None:
    folder = Folder.create(
        tmp_path / "plain", Federation(("127.0.0.1",), sealed=False, accounts={"coordinator": ["c1"]})
    )
    assert not (folder.path / TRUST).exists()
    assert "security" not in tomllib.loads(folder.client("c1").read_text())
    assert list((folder.path / CLIENTS).glob("*.seal")) == []
