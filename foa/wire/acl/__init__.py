"""Who may write and hear what: the grants of each role, and the files brokers read, all from `foa.wire.topics.TABLE`.

Pure; ``schemas/generate.py`` writes ``broker/`` from it and a test holds the committed files to be current, and
``foa broker init`` writes a federation's own. Everything not granted is denied. An account is an identity: a node's
name or an agent's org/unit/agent, and that is its Client ID too. People's accounts are shared by all their commands,
each under a Client ID of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

from foa.wire.ids import node_of
from foa.wire.topics import TABLE, Rule, TopicKind, Topics

Role = Literal["coordinator", "index", "agent", "gateway", "submitter", "operator"]
Verb = Literal["read", "write", "readwrite"]
Accounts = Mapping[Role, Sequence[str]]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
SERVICES: Final[tuple[Role, ...]] = ("coordinator", "index", "agent")
"""Roles of processes that stay: each has an account of its own, called as its Client ID."""
PEOPLE: Final[tuple[Role, ...]] = ("gateway", "submitter", "operator")
"""Roles of people and their tools: many processes at once on one account, each under a Client ID of its own."""

CLIENT_ID: Final = "%c"
"""Stands for the Client ID, in Mosquitto's word, where an account's name does not say it."""


class Grant(NamedTuple):
    """A filter below which an account may do what the verb says."""

    verb: Verb
    pattern: str


class _Whose(NamedTuple):
    """Some roles may: everywhere, or (``own``) only where their own identity stands in the topic."""

    roles: tuple[Role, ...]
    own: bool = False


_ALL: Final = _Whose(ROLES)
_SENDERS: Final = _Whose(("submitter", "gateway", "operator", "coordinator"))
_FOLLOWERS: Final = _Whose(("submitter", "gateway", "operator", "coordinator"))
_COORDINATOR: Final = _Whose(("coordinator",))

_WRITERS: Final[dict[str, _Whose]] = {
    "agent": _Whose(("agent",), own=True),
    "node": _Whose(("coordinator", "index"), own=True),
    "cluster member": _Whose(("agent",), own=True),
    "coordinator": _COORDINATOR,
    "submitter": _SENDERS,
    "operator": _Whose(("operator",)),
    "coordinator, operator": _Whose(("coordinator", "operator")),
    "anyone": _ALL,
    "anyone asked": _ALL,
    "whoever refused it": _ALL,
}

_READERS: Final[dict[TopicKind, _Whose]] = {
    "discovery": _ALL,
    "vcv": _Whose(("index", "coordinator", *PEOPLE)),
    "presence": _ALL,
    "own": _ALL,
    "submit": _COORDINATOR,
    "cancel": _Whose(("coordinator", *PEOPLE)),
    # A snapshot holds the plan, the questions and why: what `foa task show`, `answer` and `explain` read.
    "state": _FOLLOWERS,
    "event": _Whose(PEOPLE),
    "result": _FOLLOWERS,
    "request": _Whose(("agent",), own=True),
    "answer": _COORDINATOR,
    "reply": _Whose(ROLES, own=True),
    "ask": _Whose(("index",), own=True),
    "embed": _Whose(("index",), own=True),
    "channel": _Whose(("agent", "coordinator", "operator")),
    "blob": _ALL,
    "evidence": _Whose(("coordinator", "index", "operator")),
    "learn": _Whose(("coordinator", "operator")),
    "feedback": _COORDINATOR,
    "input": _COORDINATOR,
    "dead": _Whose(("operator",)),
    "control": _ALL,
    "door": _COORDINATOR,
    "outcome": _ALL,
    "letter": _Whose(("coordinator", "operator")),
    "ack": _COORDINATOR,
}


def grants(role: Role, account: str, topics: Topics) -> Iterator[Grant]:
    """Yield what `account` may do for its role, beyond what `common` grants all, in the order of the table."""
    for rule in TABLE:
        writes, reads = (
            "" if whose == _ALL or role not in whose.roles else _filter(rule, role, account * whose.own, topics)
            for whose in (_WRITERS[rule.writer], _READERS[rule.kind])
        )
        # Whoever keeps something retained reads it back on every reconnect and mends what is missing.
        if writes and (reads == writes or (rule.retained and not reads and _READERS[rule.kind] != _ALL)):
            yield Grant("readwrite", writes)
            continue
        if writes:
            yield Grant("write", writes)
        if reads:
            yield Grant("read", reads)


def common(topics: Topics) -> Iterator[Grant]:
    """Yield what every account may do."""
    for rule in TABLE:
        reads, writes = _READERS[rule.kind] == _ALL, _WRITERS[rule.writer] == _ALL
        if reads or writes:
            yield Grant(
                "readwrite" if reads and writes else "read" if reads else "write", _filter(rule, "", "", topics)
            )


def _filter(rule: Rule, role: Role | Literal[""], account: str, topics: Topics) -> str:
    """Return the topic filter of `rule`: wildcards, but for `account` where an identity stands, if one is given.

    A node's presence is told under its own role.
    """
    levels = []
    for level in rule.pattern.split("/"):
        if level == "{agent}":
            levels.append(account or "+/+/+")
        elif level == "{node}" and account:
            levels.append(CLIENT_ID if role in PEOPLE else node_of(account))
        elif level == "{name}" and account and rule.kind == "presence":
            levels.append(role)
        else:
            levels.append("+" if level.startswith("{") else level)
    return topics("/".join(levels))
