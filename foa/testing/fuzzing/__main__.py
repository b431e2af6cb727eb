"""``python -m foa.testing.fuzzing``: attack targets by chance, or (``--guided``) led by coverage, for a given time.

Led by coverage needs the library atheris; each target then has a process of its own, since the library never returns.
"""

import argparse
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final

Attack = Callable[[bytes], None]

INSTRUMENTED: Final = ("foa.wire", "foa.core", "foa.bus", "foa.nodes", "foa.adapters.values")
DECODERS: Final = ("codec", "door", "card", "planfile", "cases", "terms")
TARGETS: Final = (*DECODERS, "frames", "broker", "client", "town")
SEEDED: Final = 8
"""Random tapes that fuzzing led by coverage begins with."""

TAPE: Final = 600
"""Bytes of one attack by chance, at most."""


def attack_of(target: str) -> Attack:
    """Return the attack on `target`; loads what it attacks."""
    if target in DECODERS or target == "frames":
        decoders = importlib.import_module("foa.testing.fuzzing.decoders")
        found: Attack = decoders.frames if target == "frames" else decoders.DECODERS[target].attack
        return found
    if target == "town":
        town: Attack = importlib.import_module("foa.testing.fuzzing.town").attack
        return town
    streams = importlib.import_module("foa.testing.fuzzing.streams")
    stream: Attack = streams.broker if target == "broker" else streams.client
    return stream


def by_chance(target: str, seconds: float, seed: int, most: int = sys.maxsize) -> int:
    """Attack `target` with up to `most` random tapes for `seconds`; return how many. What breaks is told its tape."""
    attack, rng, done = attack_of(target), Random(f"{target}/{seed}"), 0
    until = monotonic() + seconds
    while done < most and monotonic() < until:
        data = rng.randbytes(rng.randrange(1, TAPE))
        try:
            attack(data)
        except BaseException as error:
            error.add_note(f"target {target}, seed {seed}, attack {done}: {data.hex()}")
            raise
        done += 1
    return done


def guided(target: str, seconds: float) -> bool:
    """Attack `target` led by coverage, in a process of its own; tell whether nothing broke."""
    with tempfile.TemporaryDirectory(prefix="foa-fuzz-") as corpus:
        for number in range(SEEDED):  # from nothing it would begin with tapes of a byte or two
            Path(corpus, f"{number}").write_bytes(Random(number).randbytes(TAPE))
        again = [sys.executable, "-m", "foa.testing.fuzzing", "--target", target, f"--seconds={seconds}"]
        return subprocess.run([*again, "--corpus", corpus], check=False).returncode == 0  # noqa: S603 - ourselves


def led(target: str, seconds: float, corpus: str) -> None:
    """Be that process: it is ended by the library, with a code other than 0 and the tape if something broke."""
    atheris = importlib.import_module("atheris")  # optional, and slow to load
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        attack = attack_of(target)
    limits = (f"-max_total_time={seconds:.0f}", "-max_len=2000", "-len_control=0", "-timeout=60", "-rss_limit_mb=2000")
    atheris.Setup([sys.argv[0], corpus, *limits], attack)
    atheris.Fuzz()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if a target broke."""
    parser = argparse.ArgumentParser(prog="python -m foa.testing.fuzzing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", choices=TARGETS, action="append", help="which; again for more; all without it")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0, help="of attacks by chance")
    parser.add_argument("--guided", action="store_true", help="led by coverage (needs atheris)")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    parser.add_argument("--tape", help="repeat one attack, given in hexadecimal, on the one target")
    given = parser.parse_args(arguments)
    targets = given.target or TARGETS
    if given.tape is not None:
        attack_of(targets[0])(bytes.fromhex(given.tape))
    elif given.corpus:
        led(targets[0], given.seconds, given.corpus)
    elif given.guided:
        broken = [target for target in targets if not guided(target, given.seconds)]
        return int(bool(broken))
    else:
        for target in targets:
            sys.stdout.write(f"{target:10} {by_chance(target, given.seconds, given.seed):8} attacks, nothing broke\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
