"""Weights in bytes against numpy: each within half a step of what it was, and the same products."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from retrieval.runtime.graph import Graph
from retrieval.runtime.weight_quantization import with_weights_in_bytes

RNG = np.random.default_rng(0)
WIDE = RNG.normal(size=(128, 96)).astype(np.float32)  # (in, out)
SMALL = RNG.normal(size=(96, 8)).astype(np.float32)


def _graph(transposed: bool) -> ov.Model:
    """Two products, x @ WIDE @ SMALL."""
    x = ops.parameter([-1, 128], np.float32)
    weights = ops.constant(WIDE.T.copy() if transposed else WIDE)
    product = ops.matmul(x, weights, transpose_a=False, transpose_b=transposed)
    last = ops.matmul(product, ops.constant(SMALL), transpose_a=False, transpose_b=False)
    return ov.Model([last], [x])


def _constants(graph: ov.Model, kind: ov.Type) -> list[Any]:
    found = [op for op in graph.get_ordered_ops() if op.get_type_name() == "Constant"]
    return [op.data for op in found if op.get_element_type() == kind]


@pytest.mark.parametrize("transposed", [False, True])
def test_weights_are_bytes_of_nearly_the_same_value(transposed: bool) -> None:
    graph = _graph(transposed)
    packed = with_weights_in_bytes(graph)
    (got,) = _constants(packed, ov.Type.i8)
    scale = np.abs(WIDE).max(axis=0) / 127
    kept = (got.T if transposed else got) * scale
    assert (np.abs(kept - WIDE) <= scale / 2 * 1.001).all()
    assert any(np.array_equal(each, SMALL) for each in _constants(packed, ov.Type.f32))
    assert not _constants(graph, ov.Type.i8)  # the graph itself is left as it is


def test_products_are_nearly_the_same(tmp_path: Path) -> None:
    ov.save_model(with_weights_in_bytes(_graph(transposed=True)), tmp_path / "graph.xml")
    graph = Graph(tmp_path / "graph.xml", compiled=tmp_path, streams=1, many=True)
    x = RNG.normal(size=(40, 128)).astype(np.float32)
    got, want = graph.run(x)[0], x @ WIDE @ SMALL
    assert np.linalg.norm(got - want) < 0.02 * np.linalg.norm(want)
