"""A bounded share of fuzzing in every run of the tests; ``make fuzz`` goes on for longer, and led by coverage."""

import importlib.util
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.errors import WireError
from foa.testing.fuzzing import __main__ as fuzzing
from foa.testing.fuzzing.decoders import FRAMES, Decoder
from foa.testing.fuzzing.mutate import damaged, hostile
from foa.testing.fuzzing.tape import Tape
from foa.wire import codec

SECONDS = 20.0
ATTACKS = {"town": 12, "broker": 600, "client": 1500}


# The codec's own warning beside its panic, which the reader turns into a fault of the packet.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_nothing_breaks_by_chance(target: str) -> None:
    most = ATTACKS.get(target, 3000)
    done = fuzzing.by_chance(target, SECONDS, seed=1, most=most)
    assert done >= most // 20  # a slow machine gets through fewer


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("target", ["codec", "frames"])
def test_nothing_breaks_led_by_coverage(target: str) -> None:
    command = [sys.executable, "-m", "foa.testing.fuzzing", "--guided", "--seconds", "3", "--target", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "cov:" in done.stderr


def test_what_breaks_is_told_its_tape() -> None:
    """A decoder that falls over bytes above 0x7F is found at once, and the tape alone repeats it."""
    brittle = Decoder(lambda body: body.decode("ascii"), (b"abc",), ())
    broken = 0
    for number in range(200):
        data = bytes([number % 256, (number * 7) % 256, number, 0, 255, 1, 2, 3])
        try:
            brittle.attack(data)
        except UnicodeDecodeError:
            broken += 1
            with pytest.raises(UnicodeDecodeError):
                brittle.attack(data)
    assert broken


@given(st.binary(max_size=200))
def test_a_tape_decides_everything(data: bytes) -> None:
    assert hostile(Tape(data), FRAMES) == hostile(Tape(data), FRAMES)
    assert damaged(Tape(data), b"abc", [b"def"]) == damaged(Tape(data), b"abc", [b"def"])


def test_most_hostile_frames_are_new_and_many_can_still_be_read() -> None:
    """Mutations that were all refused at the first byte would test nothing behind it."""
    known, fresh, readable = {(frame.topic, frame.payload) for frame in FRAMES}, 0, 0
    for number in range(1000):
        frame = hostile(Tape(Random(number).randbytes(200)), FRAMES)
        fresh += (frame.topic, frame.payload) not in known
        try:
            codec.decode(frame.payload)
            readable += 1
        except WireError:
            continue
    assert fresh > 500
    assert readable > 100
