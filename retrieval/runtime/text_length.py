"""Let a text tower take texts of any length: a query of ten tokens costs a seventh of 77.

An export of a text tower knows one length, to which all texts are filled up. Where nothing looks
at what fills them up (CLIP's causal mask, XLM-R's mask of padding), a shorter text has the same
vector. Whether it has is measured by the caller; here is rewritten what depends on the length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from openvino import opset13 as ops


def of_any_length(graph: Any, context: int) -> Any:
    """Return a copy of a text tower whose inputs have any number of tokens up to its own.

    Vectors of places and masks are cut to the tokens that there are, and reshapes follow.

    Args:
        graph: token ids (b, context), and perhaps a mask, → vectors (b, dim).
        context: tokens of a text at most.

    Raises:
        RuntimeError: the graph cannot be computed so.
    """
    copy = graph.clone()
    inputs = copy.get_parameters()
    tokens = ops.gather(ops.shape_of(inputs[0]), _whole([1]), _whole(0))  # (1,)
    for constant in copy.get_ordered_ops():
        if constant.get_type_name() == "Constant":
            for taker in list(constant.output(0).get_target_inputs()):
                if cut := _cut(constant, taker.get_node().get_type_name(), context, tokens):
                    taker.replace_source_output(cut.output(0))
    batch = inputs[0].get_partial_shape()[0]
    shape = [-1 if batch.is_dynamic else int(batch.get_length()), -1]
    copy.reshape(dict.fromkeys(range(len(inputs)), shape))
    return copy


def _cut(constant: Any, taker: str, context: int, tokens: Any) -> Any:
    """Return what stands for a constant where there are fewer tokens; None where it stays."""
    shape = list(constant.get_output_shape(0))
    if taker == "Concat" and shape == [1] and _is_whole(constant):
        return ops.convert(tokens, _type(constant)) if constant.data[0] == context else None
    axes = list(_lengths(shape, context)) if taker in ("Add", "Convert") else []
    if not axes:
        return None
    start, step = _whole([0] * len(axes)), _whole([1] * len(axes))
    end = ops.concat([tokens] * len(axes), 0)
    return ops.slice(constant, start, end, step, _whole(axes))


def _lengths(shape: list[int], context: int) -> Iterator[int]:
    """Yield the axes that count tokens: of places (…, n, w), or of a mask (…, n, n)."""
    if len(shape) >= 2 and shape[-2] == context:
        yield len(shape) - 2
        if shape[-1] == context:
            yield len(shape) - 1


def _is_whole(constant: Any) -> bool:
    """Return whether a constant holds whole numbers."""
    return _type(constant) in ("i32", "i64")


def _type(constant: Any) -> str:
    """Return the name of a constant's type."""
    return str(constant.get_element_type().get_type_name())


def _whole(value: Any) -> Any:
    """Return whole numbers as a node."""
    return ops.constant(np.array(value, dtype=np.int64))
