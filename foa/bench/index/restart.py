"""``python -m foa.bench.index.restart FOLDER CROSSOVER AGENTS``: a new process that answers from what was kept."""

import sys
from pathlib import Path

from foa.adapters.embed import DIM
from foa.bench.index.node import BenchNode
from foa.errors import FoaError
from foa.wire.records import Query


def main(folder: Path, crossover: int, agents: int) -> None:
    """Load, answer one query, and check that all is there; FoaError if not."""
    said: list[str] = []
    node = BenchNode(DIM, crossover, folder, said.append)
    row = node.index.rows.c[len(node.index) // 2]
    hits = node.find(Query("please", row.astype("<f2").tobytes()))
    if (
        said
        or len(node.catalogue.columns) != agents
        or not node.index.is_tended
        or len(node.retriever.words) != agents
        or hits[0].cosine < 0.999  # noqa: PLR2004 - itself
    ):
        raise FoaError(f"{len(node.catalogue.columns)} of {agents} agents came back; {'; '.join(said)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
