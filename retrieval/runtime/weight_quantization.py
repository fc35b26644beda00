"""Quantise weights to int8: OpenVINO computes such products with the CPU's VNNI units.

Activations are quantised at run time, with one scale for each group of `runtime.GROUP` numbers, so
an outlier affects only its neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

LEAST_SIDE = 64
"""Smaller matrices stay as they are."""


def with_weights_in_bytes(graph: ov.Model) -> ov.Model:
    """Return a copy of a graph with weights of products as int8, a scale for each output."""
    copy = graph.clone()
    for product in copy.get_ordered_ops():
        if product.get_type_name() == "MatMul":
            weights = _constant(product.input_value(1).get_node())
            if weights is not None and weights.ndim == 2 and min(weights.shape) >= LEAST_SIDE:
                inner = 1 if product.get_attributes()["transpose_b"] else 0
                product.input(1).replace_source_output(_in_bytes(weights, inner).output(0))
    return copy


def _constant(node: Any) -> Any:
    """Return the values of a constant, or of one that is converted; None of anything else."""
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node.data if node.get_type_name() == "Constant" else None


def _in_bytes(weights: Any, inner: int) -> Any:
    """Return weights as a node: int8 times a scale for each output. `inner` is summed over."""
    full = np.asarray(weights, dtype=np.float32)
    scale = np.maximum(np.abs(full).max(axis=inner, keepdims=True), 1e-12) / 127
    packed = np.rint(full / scale).astype(np.int8)
    return ops.multiply(ops.convert(ops.constant(packed), "f32"), ops.constant(scale))
