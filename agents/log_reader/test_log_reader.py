import pytest

import foa
from agents.log_reader.handler import run

LOG = """[2025-01-02T03:04:05Z] ERROR disk: sector 17 lost
    at read (line 3)
[2025-01-02T03:04:06Z] WARN disk: slow
[2025-01-02T03:05:00Z] ERROR disk: sector 18 lost
[2025-01-02T03:06:00Z] CRITICAL power: 2 phases gone
"""


def test_levels_repeats_and_the_times_of_errors() -> None:
    assert run(LOG).splitlines() == [
        "4 lines: 3 errors, 1 warning",
        "Most repeated messages:",
        "- 2 x ERROR disk: sector # lost",
        "First error: 2025-01-02T03:04:05Z disk: sector # lost",
        "Last error: 2025-01-02T03:06:00Z power: # phases gone",
    ]


def test_a_log_without_errors_says_so() -> None:
    assert run("12:00:00 INFO up\n").splitlines() == ["1 lines: 1 info", "No errors."]


def test_what_is_no_log_is_declined() -> None:
    with pytest.raises(foa.Decline):
        run("Dear diary,\nnothing happened.\n")
