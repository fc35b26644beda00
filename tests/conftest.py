"""What tests of several rooms share."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("twinlens", deadline=None)  # a busy machine is no failure
settings.load_profile("twinlens")

_OPEN_ALL = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
_VERSION_3 = 0x20080522


def pytest_configure() -> None:
    """Share the cores among the processes that run tests side by side, and the commands they start.

    Threads that wait for each other in turns take several times as long.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.fixture(scope="session", autouse=True)
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the engines of all tests, and of the commands they start, in one folder of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINLENS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def as_a_user() -> Iterator[Path]:
    """A folder of our own, where a closed folder is closed to us, even if we are root."""
    if os.geteuid() == 0 and sys.platform != "linux":
        pytest.skip("root may open everything here")
    folder = Path(tempfile.mkdtemp())
    _may_open_all(False)
    try:
        yield folder
    finally:
        _may_open_all(True)
        for path in [folder, *folder.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(folder)


def _may_open_all(may: bool) -> None:
    """Take the right of root to open any file from this thread, or give it back."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 bits
    assert libc.capget(header, sets) == 0
    sets[0] = sets[0] | _OPEN_ALL if may else sets[0] & ~_OPEN_ALL
    assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
