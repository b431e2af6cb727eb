"""The front door: a short, sorted list of names, each found on first use and nowhere before."""

import importlib
import subprocess
import sys

import foa
from tests.house.tree import ROOT

MOST = 30


def test_the_public_names_are_a_short_sorted_list() -> None:
    assert list(foa.__all__) == sorted(foa.__all__)
    assert len(set(foa.__all__)) == len(foa.__all__) <= MOST


def test_every_public_name_exists_and_says_what_it_is() -> None:
    for name in foa.__all__:
        thing = getattr(foa, name)
        assert name.startswith("__") or isinstance(thing, str) or thing.__doc__, name
    assert set(foa.__all__) <= set(dir(foa))


def test_a_star_import_takes_the_list() -> None:
    code = "from foa import *\nimport foa\nassert set(foa.__all__) <= set(globals()), set(foa.__all__) - set(globals())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    module = importlib.import_module("foa")
    assert not hasattr(module, "no_such_name")
