"""Whether the strings of a packet are UTF-8, asked before the codec reads it.

mqtt5 0.8 panics on a string that is not (a Rust panic, told on stderr, with an unraisable exception beside
it): a stranger could fill our logs. `packets.Reader` calls this for what is not plain ASCII. A string that reaches
beyond its properties may still get by; that panic is caught there.
"""

from typing import Final

_CONNECT: Final = 1
_PUBLISH: Final = 3
_SUBSCRIBE: Final = 8
_UNSUBSCRIBE: Final = 10
_SKIPPED: Final = {2: 2, 4: 3, 5: 3, 6: 3, 7: 3, 8: 2, 9: 2, 10: 2, 11: 2, 14: 1, 15: 1}  # before the properties

_WILL: Final = 0x04
_USER_NAME: Final = 0x80

_STRING: Final = -1
_PAIR: Final = -2
_BINARY: Final = -3
_VARINT: Final = -4
_PROPERTIES: Final = {  # identifier: bytes, or a kind (MQTT 5, 2.2.2.2)
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
    **dict.fromkeys((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F), _STRING),
    **dict.fromkeys((0x09, 0x16), _BINARY),
    0x0B: _VARINT,
    0x26: _PAIR,
}


class _Cursor:
    """Reads forward; UnicodeDecodeError is the answer sought, IndexError that the packet is cut short."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 21:  # noqa: PLR2004 - four bytes of seven bits
                return value

    def binary(self) -> bytes:
        data, at = self.data, self.at
        start = at + 2
        self.at = start + (data[at] << 8 | data[at + 1])
        return data[start : self.at]

    def string(self) -> None:
        self.binary().decode()

    def properties(self) -> None:
        size = self.varint()
        end = self.at + size
        while self.at < end:
            kind = _PROPERTIES.get(self.varint())
            if kind is None:
                raise IndexError
            if kind >= 0:
                self.at += kind
            elif kind == _VARINT:
                self.varint()
            elif kind == _BINARY:
                self.binary()
            else:
                self.string()
                if kind == _PAIR:
                    self.string()


def readable(data: bytes, at: int) -> bool:
    """Tell whether the strings of the packet that begins at `at` are UTF-8.

    True as well for one that is incomplete or malformed otherwise: the codec says so without harm.
    """
    try:
        return _is_plain(data, at) or _walk(data, at)
    except IndexError:
        return True
    except UnicodeDecodeError:
        return False


def _is_plain(data: bytes, at: int) -> bool:
    """Tell whether the packet is a PUBLISH whose topic and properties are ASCII: nearly always so."""
    if data[at] & 0xF0 != _PUBLISH << 4:
        return False
    start = at + 2  # of what follows the length
    while data[start - 1] & 0x80:
        start += 1
    topic = start + 2
    after = topic + (data[start] << 8 | data[start + 1])
    if not data[topic:after].isascii():
        return False
    properties = after + 3 if data[at] & 0x06 else after + 1
    size = data[properties - 1]
    return not size or (size < 0x80 and data[properties : properties + size].isascii())  # noqa: PLR2004


def _walk(data: bytes, at: int) -> bool:
    """Visit every string of the packet at `at`; return True or raise UnicodeDecodeError or IndexError."""
    cursor = _Cursor(data, at + 1)
    size = cursor.varint()
    if cursor.at + size > len(data):
        return True
    cursor.data, cursor.at = data[cursor.at : cursor.at + size], 0
    kind = data[at] >> 4
    if kind == _PUBLISH:
        cursor.string()
        cursor.at += 2 if data[at] & 0x06 else 0
        cursor.properties()
    elif kind == _CONNECT:
        _connect(cursor)
    elif kind in _SKIPPED:
        cursor.at = _SKIPPED[kind]
        if cursor.at < size:
            cursor.properties()
        _filters(cursor, kind)
    return True


def _connect(cursor: _Cursor) -> None:
    cursor.string()
    flags = cursor.data[cursor.at + 1]
    cursor.at += 4
    cursor.properties()
    cursor.string()
    if flags & _WILL:
        cursor.properties()
        cursor.string()
        cursor.binary()
    if flags & _USER_NAME:
        cursor.string()


def _filters(cursor: _Cursor, kind: int) -> None:
    if kind in {_SUBSCRIBE, _UNSUBSCRIBE}:
        while cursor.at < len(cursor.data):
            cursor.string()
            cursor.at += kind == _SUBSCRIBE
