"""The grants as Mosquitto's ``acl_file``, and its reader: the embedded broker holds the very same file."""

from typing import Final, NamedTuple

from foa.errors import ConfigError
from foa.wire.acl import CLIENT_ID, PEOPLE, ROLES, Accounts, Grant, Verb, common, grants
from foa.wire.topics import Topics

_HEAD: Final = """\
# Mosquitto ACL of a federation, generated from foa.wire.topics: do not edit, run "foa broker account".
#
# Denied is what no line grants. `pattern` lines hold for every account of this file, %c being the Client ID; a `user`
# block holds for one account, whose name is an identity: a node's name, or an agent's org/unit/agent. The broker binds
# Client IDs of processes to their accounts (use_username_as_clientid); people's tools choose theirs.
#
# Left to signatures and to the receivers' own checks, because no line can say it:
#   - that a channel is written by members of its cluster only, and a task cancelled by its own submitter;
#   - that the owner of a partition, and no other coordinator, writes its tasks' state, result and awards;
#   - that a reply comes from whom was asked, and a blob has the digest it is named by (checked on read).
"""


def written(accounts: Accounts, root: str = "foa/v1") -> str:
    """Return the ACL file of `accounts` for the topics below `root`."""
    topics = Topics(root)
    lines = [_HEAD, "# every account", *(f"pattern {verb} {pattern}" for verb, pattern in common(topics))]
    if any(accounts.get(role) for role in PEOPLE):
        lines.append(f"pattern read {topics.reply(CLIENT_ID, '+')}")
    for role in ROLES:
        for account in accounts.get(role, ()):
            lines += ["", f"# {role}", f"user {account}"]
            lines += [
                f"topic {verb} {pattern}" for verb, pattern in grants(role, account, topics) if CLIENT_ID not in pattern
            ]
    return "\n".join(lines) + "\n"


class Acl(NamedTuple):
    """What a file grants: to everybody, and to each account more."""

    everybody: tuple[Grant, ...]
    accounts: dict[str, tuple[Grant, ...]]


_VERBS: Final[dict[str, Verb]] = {"read": "read", "write": "write", "readwrite": "readwrite"}


def read(text: str, name: str) -> Acl:
    """Return what an ACL file grants; ConfigError names the file and the line that is none.

    Of Mosquitto's language this is the part that grants: ``user``, ``topic`` and ``pattern`` with a verb. A ``topic``
    before the first ``user`` is for clients without an account, of which there are none.
    """
    everybody: list[Grant] = []
    accounts: dict[str, list[Grant]] = {}
    block: list[Grant] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(maxsplit=1)
        if not words or line.startswith("#"):
            continue
        kind, rest = words[0], words[1:] and words[1].strip()
        if kind == "user" and rest:
            block = accounts.setdefault(str(rest), [])
        elif kind in {"topic", "pattern"} and (grant := _grant(str(rest))) is not None:
            if kind == "pattern":
                everybody.append(grant)
            elif block is not None:
                block.append(grant)
        else:
            raise ConfigError(
                f"{name}: line {number}: {line[:80]!r} is none of user, topic, pattern read|write|readwrite"
            )
    return Acl(tuple(everybody), {account: tuple(found) for account, found in accounts.items()})


def _grant(text: str) -> Grant | None:
    verb, _, pattern = text.partition(" ")
    return Grant(_VERBS[verb], pattern.strip()) if verb in _VERBS and pattern.strip() else None
