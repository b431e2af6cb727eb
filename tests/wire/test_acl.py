"""The ACL covers the table, denies what it does not grant, and a real Mosquitto takes it so."""

from collections.abc import Callable

import pytest

from foa.wire.acl import ROLES, mosquitto
from foa.wire.topics import TABLE, Topics

TEXT = mosquitto()


def _matches(pattern: str, topic: str) -> bool:
    levels, given = pattern.split("/"), topic.split("/")
    return len(levels) == len(given) and all(a in {"+", b} for a, b in zip(levels, given, strict=True))


def _may(account: str, client: str) -> Callable[[str, str], bool]:
    """Read the ACL as Mosquitto does: patterns for all, the blocks of one account."""
    grants, user = [], ""
    for line in TEXT.splitlines():
        match line.split():
            case ["user", name]:
                user = name
            case ["pattern", verb, pattern]:
                grants.append((verb, pattern.replace("%c", client)))
            case ["topic", verb, pattern] if user == account:
                grants.append((verb, pattern))
    return lambda verb, path: any(
        verb in granted.replace("readwrite", "read write").split() and _matches(pattern, Topics()(path))
        for granted, pattern in grants
    )


AGENT = _may("agent", "acme/lab/a")
COORDINATOR = _may("coordinator", "c1")
INDEX = _may("index", "i1")
SUBMITTER = _may("submitter", "s1")
OPERATOR = _may("operator", "o1")


@pytest.mark.parametrize(
    ("who", "verb", "path"),
    [
        (AGENT, "write", "discovery/acme/lab/a"),
        (AGENT, "write", "vcv/5/acme/lab/a"),
        (AGENT, "read", "vcv/5/acme/lab/a"),
        (AGENT, "read", "request/acme/lab/a"),
        (AGENT, "write", "answer/5/t/acme/lab/a"),
        (AGENT, "write", "channel/t/c/acme/lab/a"),
        (AGENT, "read", "channel/t/c/acme/lab/b"),
        (AGENT, "write", "blob/0"),
        (AGENT, "write", "tasks"),
        (COORDINATOR, "write", "own/5"),
        (COORDINATOR, "read", "own/5"),
        (COORDINATOR, "write", "task/5/t/result"),
        (COORDINATOR, "read", "task/5/t/result"),
        (COORDINATOR, "write", "request/acme/lab/a"),
        (COORDINATOR, "read", "answer/5/t/acme/lab/a"),
        (COORDINATOR, "read", "reply/c1/x"),
        (INDEX, "read", "index/i1/ask"),
        (INDEX, "read", "vcv/5/acme/lab/a"),
        (SUBMITTER, "write", "task/5/t/submit"),
        (SUBMITTER, "read", "task/5/t/result"),
        (OPERATOR, "write", "control/drain"),
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
        (AGENT, "write", "task/5/t/result"),
        (AGENT, "read", "task/5/t/state/0"),
        (AGENT, "write", "evidence/5/acme/lab/a"),
        (AGENT, "write", "control/drain"),
        (AGENT, "read", "reply/c1/x"),
        (INDEX, "read", "index/i2/ask"),
        (INDEX, "write", "own/5"),
        (INDEX, "write", "task/5/t/result"),
        (SUBMITTER, "write", "task/5/t/result"),
        (SUBMITTER, "read", "answer/5/t/acme/lab/a"),
        (COORDINATOR, "write", "discovery/acme/lab/a"),
        (COORDINATOR, "read", "reply/c2/x"),
        (OPERATOR, "write", "vcv/5/acme/lab/a"),
        (AGENT, "write", "anything/else"),
    ],
)
def test_nobody_may_do_more(who: Callable[[str, str], bool], verb: str, path: str) -> None:
    assert not who(verb, path)


def test_every_topic_has_a_writer_and_a_reader() -> None:
    for rule in TABLE:
        head = Topics()(rule.pattern.partition("{")[0])
        lines = [line for line in TEXT.splitlines() if f" {head}" in line]
        assert any("write" in line for line in lines), rule.kind
        assert any("read" in line for line in lines), rule.kind


def test_no_grant_uses_the_wildcard_that_swallows_levels() -> None:
    assert "#" not in "".join(line for line in TEXT.splitlines() if not line.startswith("#"))


def test_processes_may_have_accounts_of_their_own() -> None:
    text = mosquitto("lab", {"coordinator": ("c1", "c2")})
    assert [line for line in text.splitlines() if line.startswith("user")] == ["user c1", "user c2"]
    assert "topic readwrite lab/own/+" in text
    assert [line.split()[1] for line in TEXT.splitlines() if line.startswith("user")] == list(ROLES)
