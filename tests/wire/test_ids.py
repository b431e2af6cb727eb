"""Ids: what may be a level of a topic, and a hash that is the same everywhere and for good."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.errors import WireError
from foa.wire.ids import Epoch, Version, agent_id, digest_of, is_segment, partition_of, segment
from tests.wire.strategies import LAWS, agents, segments


@pytest.mark.parametrize(
    ("identity", "partition"),
    [("", 52), ("a", 47), ("acme/lab/profiler", 55), ("7d0c5f1e-2a4b-4c1d-9e55-0b7a5f0c1d2e", 61), ("Straße", 18)],
)
def test_partitions_never_move(identity: str, partition: int) -> None:
    """Golden: a change here would strand every task and vector of every running federation."""
    assert partition_of(identity) == partition


def test_partitions_do_not_depend_on_the_interpreter() -> None:
    code = "from foa.wire.ids import partition_of; print(partition_of('acme/lab/profiler'))"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "55"


def test_partitions_are_evenly_filled() -> None:
    counts = Counter(partition_of(f"acme/lab/agent-{n}") for n in range(6400))
    assert len(counts) == 64
    assert min(counts.values()) > 50
    assert max(counts.values()) < 160


@LAWS
@given(st.text(max_size=80), st.integers(1, 4096))
def test_a_partition_is_below_their_number(identity: str, partitions: int) -> None:
    assert 0 <= partition_of(identity, partitions) < partitions


@LAWS
@given(segments, agents)
def test_good_ids_are_taken(plain: str, agent: str) -> None:
    assert segment(plain, "node") == plain
    assert agent_id(agent) == agent


@pytest.mark.parametrize("text", ["", "a b", "a/b", "a+", "#", "a\n", "ä", "x" * 65, "\x00", "a\u2028"])
def test_bad_segments_are_refused_by_name(text: str) -> None:
    assert not is_segment(text)
    with pytest.raises(WireError, match="node") as caught:
        segment(text, "node")
    assert caught.value.reason == "id"


@pytest.mark.parametrize("text", ["", "a", "a/b", "a/b/c/d", "a//c", "a/b/+", "a/b/c\n", "/a/b"])
def test_bad_agents_are_refused(text: str) -> None:
    with pytest.raises(WireError) as caught:
        agent_id(text)
    assert caught.value.reason == "id"


def test_digests_are_sha256_in_hex() -> None:
    assert digest_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_epochs_and_versions_are_ordered() -> None:
    assert Epoch(1, "b") < Epoch(2, "a") < Epoch(2, "b")
    assert Version(1, 9) < Version(2, 0) < Version(2, 1)
