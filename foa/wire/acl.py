"""Who may write and hear what, as a broker's access control list, generated from `foa.wire.topics.TABLE`.

Pure; ``schemas/generate.py`` writes ``broker/acl`` from it and a test holds the committed one to be current.
Everything not granted is denied. Client ID = identity: what belongs to one identity is granted by a pattern
(``%c``, Mosquitto's word for the Client ID), what belongs to a role by the accounts that have the role.
What neither can say is listed in the text itself, under "left to signatures".
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from foa.wire.topics import TABLE, Rule, TopicKind, Topics

Role = Literal["coordinator", "index", "gateway", "submitter", "operator"]
Grant = Literal["own", "all"] | tuple[Role, ...]

ROLES: Final[tuple[Role, ...]] = ("coordinator", "index", "gateway", "submitter", "operator")
ACCOUNTS: Final[Mapping[Role, Sequence[str]]] = {role: (role,) for role in ROLES}

_WRITERS: Final[dict[str, Grant]] = {
    "agent": "own",
    "node": "own",
    "cluster member": "own",
    "coordinator": ("coordinator",),
    "submitter": ("submitter", "gateway", "operator", "coordinator"),
    "operator": ("operator",),
    "coordinator, operator": ("coordinator", "operator"),
    "anyone": "all",
    "anyone asked": "all",
    "whoever refused it": "all",
}

_READERS: Final[dict[TopicKind, Grant]] = {
    "discovery": "all",
    "vcv": ("index", "coordinator", "operator"),
    "presence": "all",
    "own": "all",
    "submit": ("coordinator",),
    "cancel": ("coordinator", "operator"),
    "state": ("coordinator", "operator"),
    "event": ("submitter", "gateway", "operator"),
    "result": ("submitter", "gateway", "operator", "coordinator"),
    "request": "own",
    "answer": ("coordinator",),
    "reply": "own",
    "ask": "own",
    "embed": "own",
    "channel": "all",
    "blob": "all",
    "evidence": ("coordinator", "index", "operator"),
    "learn": ("coordinator", "operator"),
    "feedback": ("coordinator",),
    "input": ("coordinator",),
    "dead": ("operator",),
    "control": "all",
    "door": ("coordinator",),
    "outcome": "all",
    "letter": ("coordinator", "operator"),
    "ack": ("coordinator",),
}

_HEAD: Final = """\
# Mosquitto ACL of a federation, generated from foa.wire.topics: do not edit, run `make schemas`.
#
# Denied is what no line grants. `pattern` lines hold for every client, %c being its Client ID: a node's name, or
# an agent's org/unit/agent. `user` blocks hold for accounts; this file has one account per role. A role whose
# processes have accounts of their own is generated with their names (foa.wire.acl.mosquitto, see broker/README.md).
#
# Left to signatures and to the receivers' own checks, because patterns cannot say it:
#   - that a Client ID belongs to its account (use_username_as_clientid or client certificates bind the two);
#   - that a channel is written by members of its cluster only, and a task cancelled by its own submitter;
#   - that the owner of a partition, and no other coordinator, writes its tasks' state, result and awards;
#   - that a reply comes from whom was asked, and a blob has the digest it is named by (checked on read).
"""


def mosquitto(root: str = "foa/v1", accounts: Mapping[Role, Sequence[str]] = ACCOUNTS) -> str:
    """Return the ACL file for the topics below `root`, with the account names of each role."""
    topics = Topics(root)
    lines = [_HEAD]
    lines += ["# every client, under its own name"]
    lines += [f"pattern {verb} {_filter(rule, topics, '%c')}" for rule, verb in _granted("own")]
    lines += ["", "# every client"]
    lines += [f"pattern {verb} {_filter(rule, topics, '+')}" for rule, verb in _granted("all")]
    for role in ROLES:
        for account in accounts.get(role, ()):
            lines += ["", f"# {role}", f"user {account}"]
            lines += [f"topic {verb} {_filter(rule, topics, '+')}" for rule, verb in _granted(role)]
    return "\n".join(lines) + "\n"


def _granted(to: Literal["own", "all"] | Role) -> list[tuple[Rule, str]]:
    """Return the rules granted `to` an identity, to all or to a role, in the order of the table."""
    found = []
    for rule in TABLE:
        writes = _holds(_WRITERS[rule.writer], to)
        # Whoever keeps something retained reads it back on every reconnect and mends what is missing.
        reads = _holds(_READERS[rule.kind], to) or (writes and rule.retained)
        if writes or reads:
            found.append((rule, "readwrite" if writes and reads else "write" if writes else "read"))
    return found


def _holds(grant: Grant, to: str) -> bool:
    return to == grant or (isinstance(grant, tuple) and to in grant)


def _filter(rule: Rule, topics: Topics, identity: str) -> str:
    """Return the topic filter of `rule` with `identity` where an agent or node stands."""
    levels = []
    for level in rule.pattern.split("/"):
        if level == "{agent}":
            levels.append("+/+/+" if identity == "+" else identity)
        elif level == "{node}":
            levels.append(identity)
        else:
            levels.append("+" if level.startswith("{") else level)
    return topics("/".join(levels))
