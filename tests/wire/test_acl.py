"""The ACL covers the table, grants each role its work and nothing else, and is read back as it was written."""

from collections.abc import Callable

import pytest

from foa.errors import ConfigError
from foa.wire.acl import CLIENT_ID, PEOPLE, ROLES, SERVICES, Accounts, Role, common, emqx, grants
from foa.wire.acl.mosquitto import read, written
from foa.wire.ids import node_of
from foa.wire.topics import TABLE, Topics

ACCOUNTS: Accounts = {
    "coordinator": ("c1", "c2"), "index": ("i1",), "agent": ("acme/lab/a", "acme/lab/b"),
    "gateway": ("g1",), "submitter": ("ann",), "operator": ("bob",),
}  # fmt: skip
SERVICE_TEXT = written({role: ACCOUNTS[role] for role in SERVICES})
PEOPLE_TEXT = written({role: ACCOUNTS[role] for role in PEOPLE})


def _matches(pattern: str, topic: str) -> bool:
    levels, given = pattern.split("/"), topic.split("/")
    return len(levels) == len(given) and all(a in {"+", b} for a, b in zip(levels, given, strict=True))


def _may(text: str, account: str, client: str = "") -> Callable[[str, str], bool]:
    acl = read(text, "acl")
    found = [
        (verb, pattern.replace(CLIENT_ID, client or account)) for verb, pattern in acl.everybody + acl.accounts[account]
    ]
    return lambda verb, path: any(
        verb in granted.replace("readwrite", "read write").split() and _matches(pattern, Topics()(path))
        for granted, pattern in found
    )


AGENT = _may(SERVICE_TEXT, "acme/lab/a")
COORDINATOR = _may(SERVICE_TEXT, "c1")
INDEX = _may(SERVICE_TEXT, "i1")
SUBMITTER = _may(PEOPLE_TEXT, "ann", "client-1")
OPERATOR = _may(PEOPLE_TEXT, "bob", "client-2")


@pytest.mark.parametrize(
    ("who", "verb", "path"),
    [
        (AGENT, "write", "discovery/acme/lab/a"),
        (AGENT, "write", "vcv/5/acme/lab/a"),
        (AGENT, "read", "vcv/5/acme/lab/a"),
        (AGENT, "read", "request/acme/lab/a"),
        (AGENT, "read", "reply/acme.lab.a/lookup"),
        (AGENT, "write", "answer/5/t/acme/lab/a"),
        (AGENT, "write", "channel/t/c/acme/lab/a"),
        (AGENT, "read", "channel/t/c/acme/lab/b"),
        (AGENT, "write", "blob/0"),
        (AGENT, "write", "tasks"),
        (AGENT, "read", "control/drain"),
        (COORDINATOR, "write", "own/5"),
        (COORDINATOR, "read", "own/5"),
        (COORDINATOR, "write", "presence/coordinator/c1"),
        (COORDINATOR, "write", "task/5/t/result"),
        (COORDINATOR, "read", "task/5/t/result"),
        (COORDINATOR, "read", "task/5/t/ack"),
        (COORDINATOR, "write", "dlq/5/t"),
        (COORDINATOR, "write", "request/acme/lab/a"),
        (COORDINATOR, "read", "answer/5/t/acme/lab/a"),
        (COORDINATOR, "read", "reply/c1/x"),
        (INDEX, "read", "index/i1/ask"),
        (INDEX, "write", "presence/index/i1"),
        (INDEX, "read", "vcv/5/acme/lab/a"),
        (SUBMITTER, "write", "task/5/t/submit"),
        (SUBMITTER, "read", "task/5/t/result"),
        (SUBMITTER, "read", "task/5/t/state/0"),
        (SUBMITTER, "write", "task/5/t/ack"),
        (SUBMITTER, "read", "reply/client-1/task"),
        (SUBMITTER, "read", "vcv/5/acme/lab/a"),
        (OPERATOR, "write", "control/drain"),
        (OPERATOR, "write", "dlq/5/t"),
        (OPERATOR, "read", "dead/shape"),
    ],
)
def test_each_may_do_its_work(who: Callable[[str, str], bool], verb: str, path: str) -> None:
    assert who(verb, path)


@pytest.mark.parametrize(
    ("who", "verb", "path"),
    [
        (AGENT, "write", "discovery/acme/lab/b"),
        (AGENT, "write", "vcv/5/acme/lab/b"),
        (AGENT, "read", "request/acme/lab/b"),
        (AGENT, "write", "request/acme/lab/b"),
        (AGENT, "write", "answer/5/t/acme/lab/b"),
        (AGENT, "write", "channel/t/c/acme/lab/b"),
        (AGENT, "write", "own/5"),
        (AGENT, "write", "presence/coordinator/acme.lab.a"),
        (AGENT, "write", "task/5/t/result"),
        (AGENT, "read", "task/5/t/state/0"),
        (AGENT, "write", "evidence/5/acme/lab/a"),
        (AGENT, "write", "control/drain"),
        (AGENT, "read", "reply/c1/x"),
        (INDEX, "read", "index/i2/ask"),
        (INDEX, "write", "presence/coordinator/i1"),
        (INDEX, "write", "own/5"),
        (INDEX, "write", "task/5/t/result"),
        (COORDINATOR, "write", "presence/coordinator/c2"),
        (COORDINATOR, "read", "reply/c2/x"),
        (COORDINATOR, "write", "discovery/acme/lab/a"),
        (COORDINATOR, "write", "control/drain"),
        (SUBMITTER, "write", "task/5/t/result"),
        (SUBMITTER, "write", "task/5/t/state/0"),
        (SUBMITTER, "write", "request/acme/lab/a"),
        (SUBMITTER, "write", "dlq/5/t"),
        (SUBMITTER, "write", "control/drain"),
        (SUBMITTER, "read", "reply/client-2/task"),
        (SUBMITTER, "read", "answer/5/t/acme/lab/a"),
        (OPERATOR, "write", "task/5/t/result"),
        (OPERATOR, "write", "own/5"),
    ],
)
def test_nobody_may_do_more(who: Callable[[str, str], bool], verb: str, path: str) -> None:
    assert not who(verb, path)


def test_every_topic_has_a_writer_and_a_reader() -> None:
    text = SERVICE_TEXT + PEOPLE_TEXT
    for rule in TABLE:
        head = Topics()(rule.pattern.partition("{")[0])
        lines = [line for line in text.splitlines() if f" {head}" in line]
        assert any("write" in line for line in lines), rule.kind
        assert any("read" in line for line in lines), rule.kind


def test_no_grant_uses_the_wildcard_that_swallows_levels() -> None:
    text = SERVICE_TEXT + PEOPLE_TEXT
    assert "#" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("role", ROLES)
def test_what_is_written_is_read_back(role: Role) -> None:
    names = ACCOUNTS[role]
    acl = read(written({role: names}, "lab"), "acl")
    topics = Topics("lab")
    assert set(common(topics)) <= set(acl.everybody)
    for name in names:
        wanted = [each for each in grants(role, name, topics) if CLIENT_ID not in each.pattern]
        assert list(acl.accounts[name]) == wanted


@pytest.mark.parametrize("line", ["topic", "user", "pattern maybe x", "deny everything", "topic deny x"])
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(ConfigError, match="acl: line 2: "):
        read(f"user a\n{line}\n", "acl")


def test_emqx_has_every_account_and_ends_with_denial() -> None:
    text = emqx.written(ACCOUNTS)
    for name in (name for names in ACCOUNTS.values() for name in names):
        assert f'{{allow, {{username, "{name}"}}, ' in text
    assert text.endswith("{deny, all}.\n")
    assert '"foa/v1/discovery/#"' in text
    (line,) = (line for line in text.splitlines() if '"acme/lab/a"}, publish' in line)
    assert '"foa/v1/discovery/acme/lab/a"' in line
    assert CLIENT_ID not in text


def test_an_identity_takes_replies_under_one_segment() -> None:
    assert node_of("acme/lab/a") == "acme.lab.a"
    assert node_of("c1") == "c1"
