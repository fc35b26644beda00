"""Load an OpenVINO graph from a file as a function of arrays.

OpenVINO's Python package reports its use to a server and stores an id in the home folder, through
`openvino_telemetry`. That package is blocked before the import, and OpenVINO works without it. Its
messages about plugins are suppressed, too.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CONVERTER = "openvino.tools.ovc"
for _locked in ("openvino_telemetry", _CONVERTER):
    sys.modules.setdefault(_locked, None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402 - after the locks

if sys.modules[_CONVERTER] is None:
    del sys.modules[_CONVERTER]

Arrays = tuple[NDArray[Any], ...]


GROUP = 32
"""Numbers that share a scale where a graph with weights in bytes is given numbers: as near to torch
as bfloat16. With 64 ViT-B-32 takes a fifth less, and a photo in a top ten is more often another."""

_ONE_THREAD = threading.RLock()


class Graph:
    """A graph, compiled for this CPU.

    Args:
        file: the graph, OpenVINO's `.xml` with its `.bin` beside it.
        compiled: folder where the compiled form is kept, for a quicker start.
        streams: batches that run at once, each on its share of the cores.
        many: batches are large, so computing takes the time, and not reading the weights.
        precise: compute in float32, whatever is quickest here.

    Raises:
        RuntimeError: the file is missing or broken.
    """

    def __init__(
        self, file: Path, *, compiled: Path, streams: int, many: bool, precise: bool = False
    ) -> None:
        self._streams = streams
        settings = {
            "CACHE_DIR": str(compiled),
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
            "ENABLE_CPU_PINNING": False,  # pinned, two processes would share one core
            "INFERENCE_NUM_THREADS": max(streams, cores()),
            "INFERENCE_PRECISION_HINT": "f32" if precise else precision(many=many),
            "NUM_STREAMS": streams,
        }
        self._compiled = core().compile_model(str(file), "CPU", settings)

    @property
    def batch(self) -> int | None:
        """How many inputs a batch must have; None for any number."""
        return self._side(0)

    @property
    def length(self) -> int | None:
        """How long each input must be; None for any length."""
        return self._side(1)

    def _side(self, axis: int) -> int | None:
        """Return a side of the first input; None for any."""
        side = self._compiled.input(0).get_partial_shape()[axis]
        return None if side.is_dynamic else int(side.get_length())

    def run(self, *inputs: NDArray[Any]) -> Arrays:
        """Run one batch of any size."""
        size = self.batch or len(inputs[0])
        starts = range(0, len(inputs[0]), size)
        parts = self.run_all([each[at : at + size] for each in inputs] for at in starts)
        return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))

    def run_all(self, batches: Iterable[Sequence[NDArray[Any]]]) -> list[Arrays]:
        """Run batches, several at once, while the next are made; results in their order.

        One thread runs graphs at a time: two that give their first inputs at the same moment can
        wait for each other for ever within OpenVINO.
        """
        with _ONE_THREAD:
            return self._run_all(batches)

    def _run_all(self, batches: Iterable[Sequence[NDArray[Any]]]) -> list[Arrays]:
        """Run batches, as `run_all` does."""
        # No callbacks: one that waits for Python as the interpreter ends takes the process down.
        results: list[Arrays] = []
        busy: deque[Any] = deque()
        idle = [self._compiled.create_infer_request() for _ in range(self._streams)]
        for inputs in batches:
            request = idle.pop() if idle else self._finished(busy.popleft(), results)
            request.start_async(dict(enumerate(map(np.ascontiguousarray, inputs))))
            busy.append(request)
        while busy:
            self._finished(busy.popleft(), results)
        return results

    def _finished(self, request: Any, results: list[Arrays]) -> Any:
        """Wait for a request, append what came out, and return it for the next batch."""
        request.wait()
        outputs = range(len(self._compiled.outputs))
        results.append(tuple(request.get_output_tensor(each).data.copy() for each in outputs))
        return request


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def precision(*, many: bool) -> str:
    """Return this CPU's fastest precision: `bf16`, with half the memory for weights, or `f32`.

    Args:
        many: inputs come in large batches.
    """
    knows = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if knows and not (many and is_slow_in_bfloat16(_about_cpu())) else "f32"


def bytes_pay(*, many: bool) -> bool:
    """Return whether a wide tower, of 512 numbers a token or more, is fastest with int8 weights.

    A photo takes two thirds of the time of float32 and five sixths of AMD's bfloat16; on AMX, as
    OpenVINO multiplies them, more than in bfloat16. A single query waits for its weights to be
    read: it takes two thirds of the time and memory.

    Args:
        many: inputs come in large batches.
    """
    about = _about_cpu()
    return "_vnni" in about and not (many and "amx_bf16" in about)


def is_slow_in_bfloat16(about: str) -> bool:
    """Return whether a CPU with bfloat16 multiplies more slowly in it: Intel's without AMX.

    It takes half as long again as in float32; AMD's takes half the time. Virtual machines may
    hide AMX.

    Args:
        about: the CPU, as Linux describes it in `/proc/cpuinfo`.
    """
    return "GenuineIntel" in about and "amx_bf16" not in about


def _about_cpu() -> str:
    """Return what Linux says of the CPU; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


@cache
def core() -> Any:
    """Return the one entry to OpenVINO."""
    return ov.Core()
