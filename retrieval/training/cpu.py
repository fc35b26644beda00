"""Train fast on a CPU: the arithmetic that it computes fast, and freed memory that is kept."""

from __future__ import annotations

import ctypes
import sys

import torch

from retrieval._enums import Precision

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names in glibc's malloc.h: M_TRIM_THRESHOLD, M_MMAP_MAX

_NEVER = 2**31 - 1


def knows_bfloat16() -> bool:
    """Return whether PyTorch multiplies bfloat16 with units of this CPU.

    Without them it does so one number at a time: ten times as slowly as in float32, and more.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def advice(precision: Precision, device: torch.device) -> str | None:
    """Return a warning if the chosen arithmetic is slow on this CPU; empty if it is not."""
    if precision == Precision.BF16 and device.type == "cpu" and not knows_bfloat16():
        return "this CPU has no bfloat16 units; --precision fp32 is many times as fast"
    return None


def keep_freed_memory() -> None:
    """Keep freed memory in the process, on Linux with glibc; do nothing elsewhere.

    A step on a CPU frees and asks again for gigabytes of activations. Given back to the system
    each time, every page is cleared again: a ViT-Tiny step took 1.7 times as long.

    Source: mallopt(3).
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)
