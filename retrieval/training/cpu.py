"""Choose the arithmetic that this CPU computes fast."""

from __future__ import annotations

import torch

from retrieval._enums import Precision


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
