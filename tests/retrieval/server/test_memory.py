"""Threads of the server share their free memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

THREADS = """
import ctypes, threading
import numpy as np
from retrieval.server.memory import keep_little_memory
keep_little_memory()
together = threading.Barrier(8)
def work():
    kept = [np.ones(1_000) for _ in range(50)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc for its arenas")
def test_eight_threads_have_two_arenas() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.count("<heap nr=") == 2
