"""The MQTT machines as fuzz targets: streams of damaged packets, in any pieces, at any time."""

from typing import Final

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.records import Limits
from foa.bus.mqtt.session import ClientSession
from foa.bus.output import Output
from foa.bus.port import Options, Subscription
from foa.testing.fuzzing.mutate import damaged
from foa.testing.fuzzing.tape import Tape
from foa.wire.envelope import Frame

LIMITS: Final = Limits(
    max_packet_size=2000, max_queued=50, max_queued_bytes=10_000, max_choke_bytes=20_000, max_retained=50,
    max_sessions=20, max_connections=20, max_subscriptions=20,
)  # fmt: skip
PACKETS: Final[tuple[bytes, ...]] = tuple(
    bytes.fromhex(packet)
    for packet in (
        "101700044d515454052c000900000161000003742f77000178",  # CONNECT with a will
        "101600044d5154540502000008110000001e210002000162",  # CONNECT, clean, a window of two
        "2006000003210004",  # CONNACK
        "32160003742f610003072600016b0001767061796c6f6164",  # PUBLISH with a user property
        "31160003742f61090200000004080001727061796c6f6164",  # PUBLISH, retained, that expires
        "33150003742f6200040409000163" + "79" * 9,  # PUBLISH, retained, with correlation data
        "31060003742f6100",  # PUBLISH that clears
        "40020001",  # PUBACK
        "820b0001020b090003742f2309",  # SUBSCRIBE
        "8212000200000c2473686172652f672f742f2b09",  # SUBSCRIBE, shared
        "900400010001",  # SUBACK
        "a2080007000003742f23",  # UNSUBSCRIBE
        "c000",  # PINGREQ
        "d000",  # PINGRESP
        "e00700051100000005",  # DISCONNECT
        "f006000415000178",  # AUTH
    )
)
"""One packet of every kind, written out: only the bus may build them."""


def _pieces(tape: Tape) -> bytes:
    """Return a few packets, about a third of them damaged."""
    found = b""
    for _ in range(1 + tape.number(4)):
        packet = tape.choice(PACKETS)
        found += damaged(tape, packet, PACKETS) if tape.chance(3) else packet
    return found


def broker(data: bytes) -> None:
    """Attack the broker's machine over several connections; what it sends stays well-formed, its memory capped."""
    tape = Tape(data)
    machine, now = Broker(LIMITS), 0.0
    watcher = machine.connect(now)
    machine.receive(watcher, PACKETS[1] + PACKETS[8], now)
    reader = packets.Reader(1 << 20)
    open_ = [machine.connect(now)]
    while not tape.over:
        now += tape.choice((0.0, 0.01, 1.0, 20.0))
        connection = tape.choice(open_)
        match tape.number(8):
            case 0:
                open_.append(machine.connect(now))
            case 1 if len(open_) > 1:
                open_.remove(connection)
                machine.lost(connection, now)
            case 2:
                machine.written(connection, now)
            case _:
                machine.receive(connection, _pieces(tape), now)
        machine.tick(now)
        assert reader.feed(watcher.take())[1] is None
        for one in open_:
            if not tape.chance(4):
                one.take()
            assert one.out_bytes <= LIMITS.max_choke_bytes + 2 * LIMITS.max_packet_size
    assert len(machine.sessions) <= LIMITS.max_sessions


def client(data: bytes) -> None:
    """Attack the client's machine as a hostile broker would."""
    tape = Tape(data)
    output = Output(lambda: None)
    session, now = ClientSession(Options("a", maximum_packet_size=2000, max_queued=50), output), 0.0
    session.subscribe([Subscription("t/#")], None)
    session.start(now)
    while not tape.over:
        now += tape.choice((0.0, 0.01, 1.0, 20.0))
        match tape.number(8):
            case 0 if session.backlog < 50:  # noqa: PLR2004 - the cap given above
                session.publish(Frame("t/x", tape.bytes(20)), lambda _code: None, now)
            case 1:
                session.lost("cut")
                session.start(now)
            case 2:
                session.tick(now)
            case _:
                session.receive(_pieces(tape), now)
        output.events.clear()
        assert packets.Reader(1 << 20).feed(output.taken())[1] is None
    assert session.backlog <= 50  # noqa: PLR2004 - the same cap
