"""The grants as EMQX's ``acl.conf``: Erlang terms, the first that fits decides."""

from typing import Final

from foa.wire.acl import CLIENT_ID, ROLES, Accounts, Grant, common, grants
from foa.wire.topics import Topics

_HEAD: Final = """\
%% EMQX ACL of a federation, generated from foa.wire.topics: do not edit.
%% EMQX looks at filters when somebody subscribes, not at deliveries: these end in # where Mosquitto's end in +.
"""
_ACTIONS: Final = {"read": ("subscribe",), "write": ("publish",), "readwrite": ("publish", "subscribe")}


def written(accounts: Accounts, root: str = "foa/v1") -> str:
    """Return the file of `accounts` for the topics below `root`."""
    topics = Topics(root)
    lines = [_HEAD, *_terms("all", list(common(topics)))]
    for role in ROLES:
        for account in accounts.get(role, ()):
            found = list(grants(role, account, topics))
            lines += [f"%% {role}", *_terms(f'{{username, "{account}"}}', found)]
    return "\n".join([*lines, "{deny, all}."]) + "\n"


def _terms(who: str, granted: list[Grant]) -> list[str]:
    terms = []
    for action in ("publish", "subscribe"):
        patterns = [each.pattern for each in granted if action in _ACTIONS[each.verb]]
        wide = sorted({_widened(each) if action == "subscribe" else each for each in patterns})
        if wide:
            listed = ", ".join(f'"{each.replace(CLIENT_ID, "${clientid}")}"' for each in wide)
            terms.append(f"{{allow, {who}, {action}, [{listed}]}}.")
    return terms


def _widened(pattern: str) -> str:
    """Return `pattern` with one ``#`` for the wildcards at its end."""
    levels = pattern.split("/")
    kept = levels[:]
    while kept[-1] == "+":
        kept.pop()
    return pattern if len(kept) == len(levels) else "/".join([*kept, "#"])
