"""Topic names, topic filters, and the tree that finds who subscribed to a topic.

Pure; used by the router and, upside down (topics stored, a filter asked), by the retained store.
"""

from typing import Final, Generic, TypeVar

SHARE: Final = "$share/"
T = TypeVar("T")


def valid_topic(topic: str, max_bytes: int, max_levels: int) -> bool:
    """Tell whether `topic` may be published to: no wildcard, no NUL, not above the caps, not ``$share``."""
    return (
        0 < len(topic) <= max_bytes
        and len(topic.encode()) <= max_bytes
        and topic.count("/") < max_levels
        and "+" not in topic
        and "#" not in topic
        and "\0" not in topic
        and not topic.startswith((SHARE, "$SYS"))
    )


def valid_filter(pattern: str, max_bytes: int, max_levels: int) -> bool:
    """Tell whether `pattern`, without its ``$share/group/``, may be subscribed to."""
    if not pattern or "\0" in pattern or len(pattern.encode()) > max_bytes:
        return False
    levels = pattern.split("/")
    if len(levels) > max_levels or "#" in levels[:-1]:
        return False
    return all(level in {"+", "#"} or ("+" not in level and "#" not in level) for level in levels)


def shared(pattern: str) -> tuple[str, str] | None:
    """Split ``$share/group/filter``; None if it is not well formed."""
    _, group, inner = [*pattern.split("/", 2), "", ""][:3]
    if not group or not inner or "+" in group or "#" in group:
        return None
    return group, inner


class _Node(Generic[T]):
    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.values: dict[str, T] = {}


class FilterTree(Generic[T]):
    """Values under topic filters, each with a key that is unique for its filter; asked with a topic."""

    def __init__(self) -> None:
        """Start empty."""
        self._root: _Node[T] = _Node()

    def put(self, pattern: str, key: str, value: T) -> None:
        """Store `value`, in place of an earlier one with this `pattern` and `key`."""
        node = self._root
        for level in pattern.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        node.values[key] = value

    def pop(self, pattern: str, key: str) -> T | None:
        """Remove and return a value, and the branches that it leaves empty; None if there was none."""
        path = [self._root]
        levels = pattern.split("/")
        for level in levels:
            child = path[-1].children.get(level)
            if child is None:
                return None
            path.append(child)
        value = path[-1].values.pop(key, None)
        for level, parent, child in zip(reversed(levels), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if child.children or child.values:
                break
            del parent.children[level]
        return value

    def get(self, pattern: str, key: str) -> T | None:
        """Return the value stored under exactly `pattern` and `key`."""
        node: _Node[T] | None = self._root
        for level in pattern.split("/"):
            node = node.children.get(level) if node is not None else None
        return None if node is None else node.values.get(key)

    def match(self, topic: str) -> list[T]:
        """Return the values of all filters that match `topic`, in an order that only insertions decide."""
        found: list[T] = []
        nodes = [self._root]
        wild = not topic.startswith("$")  # no leading wildcard matches a topic of the server's [MQTT-4.7.2-1]
        for level in topic.split("/"):
            following: list[_Node[T]] = []
            for node in nodes:
                children = node.children
                child = children.get(level)
                if child is not None:
                    following.append(child)
                if wild:
                    rest = children.get("#")
                    if rest is not None:
                        found += rest.values.values()
                    child = children.get("+")
                    if child is not None:
                        following.append(child)
            wild = True
            nodes = following
            if not nodes:
                return found
        for node in nodes:
            found += node.values.values()
            rest = node.children.get("#")  # "a/#" matches "a" as well
            if rest is not None:
                found += rest.values.values()
        return found
