"""OpenVINO, as far as it is used here: a graph in a file becomes a function of arrays.

Its Python package counts what it is used for, to a server, and leaves an id in the home folder,
through `openvino_telemetry`. That package is locked out before the import, and OpenVINO does
without it. Its messages about plugins go nowhere either.
"""

from __future__ import annotations

import os
import sys
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


class Graph:
    """A graph, compiled for this CPU: bfloat16 where its units compute in it, else float32.

    Args:
        file: the graph, OpenVINO's `.xml` with its `.bin` beside it.
        compiled: folder where the compiled form is kept, for a quicker start.
        streams: batches that run at once, each on its share of the cores.

    Raises:
        RuntimeError: the file is missing or broken.
    """

    def __init__(self, file: Path, *, compiled: Path, streams: int) -> None:
        self._streams = streams
        settings = {
            "CACHE_DIR": str(compiled),
            "ENABLE_CPU_PINNING": False,  # pinned, two processes would share one core
            "INFERENCE_NUM_THREADS": max(streams, cores()),
            "INFERENCE_PRECISION_HINT": precision(),
            "NUM_STREAMS": streams,
        }
        self._compiled = _core().compile_model(str(file), "CPU", settings)

    def run(self, *inputs: NDArray[Any]) -> Arrays:
        """Run one batch."""
        (outputs,) = self.run_all([inputs])
        return outputs

    def run_all(self, batches: Iterable[Sequence[NDArray[Any]]]) -> list[Arrays]:
        """Run batches, several at once, while the next are made; results in their order."""
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
def precision() -> str:
    """Return what this CPU computes fastest in: `bf16` if it has units for it, else `f32`."""
    return "bf16" if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


@cache
def _core() -> Any:
    """Return the one entry to OpenVINO."""
    return ov.Core()
