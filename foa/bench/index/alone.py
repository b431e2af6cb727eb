"""``python -m foa.bench.index.alone``: one node measured in a process of its own, with one thread for products.

The plan comes as JSON on the standard input, the figures leave as JSON on the standard output.
"""

import json
import os
import subprocess
import sys
from typing import Any

import msgspec

from foa.errors import FoaError


def measured(plan: Any) -> dict[str, Any]:
    """Measure as `foa.bench.index.local.measure` does, in another process; FoaError if that fails."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "foa.bench.index.alone"]
    done = subprocess.run(
        command, input=msgspec.json.encode(plan, enc_hook=str), stdout=subprocess.PIPE, env=environment, check=False
    )
    if done.returncode:
        raise FoaError(f"the measurement ended with exit code {done.returncode}; its last words are above")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Measure what is asked for on the standard input."""
    from foa.bench.index import local

    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=local.Plan)
    figures = local.measure(plan, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
