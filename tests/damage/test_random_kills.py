"""Killed at a random instant, no command loses a photo or leaves anything behind.

A bounded version of `benchmarks/kills.py`, which kills each command hundreds of times.
"""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks.kills import CASES, Bench

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="finds processes in /proc"
)

QUICK = ("forget", "move-root", "tune", "check --repair", "export --link", "index")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A library, and what surrounds it."""
    return Bench(tmp_path_factory.mktemp("kills"))


@pytest.mark.parametrize("name", QUICK)
def test_killed_at_random(bench: Bench, name: str) -> None:
    case, rng = CASES[name], random.Random(0)
    taken = bench.run(case)
    for _ in range(2):
        seconds = rng.random() * taken
        found = dict(bench.kill(case, seconds, signal.SIGKILL, again=True))
        found.pop("killed", None)  # else it had ended before
        assert found == {}
