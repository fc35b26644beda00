"""One budget of memory for all decoders: a share of the machine's or the container's."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from indexer.decoding.memory_budget import MemoryBudget, memory

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _system(root: Path, groups: str, limits: dict[str, str]) -> Path:
    """A file system that tells control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, value in limits.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {"memory.max": "700000000\n"}, 700_000_000),
        ("0::/a/b\n", {"a/memory.max": "600000000\n", "a/b/memory.max": "max\n"}, 600_000_000),
        ("0::/not/seen/here\n", {"memory.max": "500000000\n"}, 500_000_000),
        (
            "11:memory:/docker/x\n1:cpu:/\n",
            {"memory/docker/x/memory.limit_in_bytes": "400000000\n"},
            400_000_000,
        ),
        (
            "11:cpu,memory:/docker/x\n0::/\n",
            {"memory/memory.limit_in_bytes": "300000000\n"},
            300_000_000,
        ),
        ("0::/\n", {"memory.max": "max\n"}, MACHINE),
        ("0::/\n", {"memory.max": "nonsense\n"}, MACHINE),
        ("0::/\n", {}, MACHINE),
    ],
)
def test_a_container_has_the_memory_that_its_groups_give(
    groups: str, limits: dict[str, str], expected: int, tmp_path: Path
) -> None:
    assert memory(_system(tmp_path, groups, limits)) == min(expected, MACHINE)


def test_a_system_without_groups_has_all_of_its_memory(tmp_path: Path) -> None:
    assert memory(tmp_path) == MACHINE


def test_small_files_are_decoded_beside_each_other_and_large_ones_alone() -> None:
    budget = MemoryBudget(most=100, together=10)
    held: list[int] = []
    most = 0

    def work(need: int) -> None:
        nonlocal most
        with budget.holding(need):
            held.append(need)
            most = max(most, sum(held))
            assert need <= 10 or held == [need]
            time.sleep(0.01)
            held.remove(need)

    needs = [4, 4, 4, 60, 1, 100, 7, 2, 10, 11]
    threads = [threading.Thread(target=work, args=(need,)) for need in needs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not held
    assert most == 100


def test_a_large_file_is_not_passed_over_for_ever() -> None:
    """Small ones that come after it wait behind it."""
    budget = MemoryBudget(most=100, together=10)
    order: list[int] = []

    def work(need: int) -> None:
        with budget.holding(need):
            order.append(need)

    with budget.holding(5):
        large = threading.Thread(target=work, args=(100,))
        large.start()
        time.sleep(0.05)
        small = threading.Thread(target=work, args=(1,))
        small.start()
        time.sleep(0.05)
        assert order == []
    large.join(10)
    small.join(10)
    assert order == [100, 1]
