"""The towers of the built-in architecture as graphs of OpenVINO, made from their weights alone.

Each function writes down what the class of the same part in `retrieval.models.dual_encoder`
computes, in the same order. Torch takes no part, so a graph is made in less than a second.

Shapes: b batch, n tokens, w width, h heads, s pixels a side, d joint dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from retrieval.models.preprocess import ImageSpec

Node: TypeAlias = Any
"""A value in a graph; OpenVINO's Python package has no types."""

Weights: TypeAlias = Mapping[str, NDArray[np.float32]]

_IMAGE_EPS, _TEXT_EPS, _HEAD_EPS = 1e-6, 1e-12, 1e-5
_TINY = 1e-12  # a norm is at least this, so that no vector is divided by zero


@dataclass(frozen=True, kw_only=True)
class _BlockShape:
    """How the blocks of a tower are built."""

    heads: int
    norm_first: bool
    eps: float


def image_graph(weights: Weights, architecture: Mapping[str, Any], image: ImageSpec) -> ov.Model:
    """Return the image tower: pixels uint8 (b, s, s, 3) → unit vectors (b, d) and image tokens.

    The tokens are averaged two by two, as a reranker reads them: (b, 1 + patches / 4, w).
    """
    shape, size = architecture["image"], image.size
    pixels = ops.parameter([-1, size, size, 3], np.uint8, name="pixels")
    tokens = _image_tokens(weights, normalized(pixels, image), shape)
    vectors = unit(_image_vectors(weights, architecture, tokens))
    fewer = _summarised(tokens, shape)
    return ov.Model([ops.result(vectors), ops.result(fewer)], [pixels], "images")


def text_graph(weights: Weights, architecture: Mapping[str, Any]) -> ov.Model:
    """Return the text tower: vectors of words (b, n, w) and ids (b, n) → unit vectors (b, d)."""
    shape = architecture["text"]
    embedded = ops.parameter([-1, -1, shape["width"]], np.float32, name="embedded")
    ids = ops.parameter([-1, -1], np.int64, name="ids")
    seen = ops.not_equal(ids, _whole(0))  # (b, n)
    tokens = _text_tokens(weights, embedded, seen, shape)
    vectors = unit(_text_vectors(weights, architecture, _average(tokens, seen)))
    return ov.Model([ops.result(vectors)], [embedded, ids], "texts")


def normalized(pixels: Node, image: ImageSpec) -> Node:
    """Scale pixels to zero mean and unit deviation. (b, s, s, 3) → (b, 3, s, s)."""
    # Planes first: as the last dimension, three colours fill no vector of the CPU's.
    planes = ops.convert(ops.transpose(pixels, _whole([0, 3, 1, 2])), "f32")
    mean, std = (255.0 * np.array(each).reshape(1, 3, 1, 1) for each in (image.mean, image.std))
    return ops.divide(ops.subtract(planes, _numbers(mean)), _numbers(std))


def _image_tokens(weights: Weights, x: Node, shape: Mapping[str, Any]) -> Node:
    """Return the class token and the patch tokens. (b, 3, s, s) → (b, 1 + patches, w)."""
    width, stride = shape["width"], [shape["patch"]] * 2
    kernel = _numbers(weights["visual.patch_embed.weight"])
    x = ops.convolution(x, kernel, stride, [0, 0], [0, 0], [1, 1])
    x = ops.transpose(ops.reshape(x, _whole([0, width, -1]), True), _whole([0, 2, 1]))
    places = weights["visual.pos_embed"]
    x = ops.add(x, _numbers(places[:, 1:] + weights["visual.patch_embed.bias"]))
    whole = ops.concat([_size(x, 0), _whole([1, width])], 0)
    cls = ops.broadcast(_numbers(weights["visual.cls_token"] + places[:, :1]), whole)
    x = ops.concat([cls, x], 1)
    block = _BlockShape(heads=shape["heads"], norm_first=True, eps=_IMAGE_EPS)
    for number in range(shape["layers"]):
        x = _block(weights, f"visual.blocks.{number}", x, block)
    return _norm(weights, "visual.norm", x, _IMAGE_EPS)


def _image_vectors(weights: Weights, architecture: Mapping[str, Any], tokens: Node) -> Node:
    """Embed photos by their tokens. (b, 1 + patches, w) → (b, d), not yet of unit length."""
    read = _read(tokens)
    embedded = _head(weights, "visual.head", read)
    if not architecture["image"]["classes"]:
        return embedded
    keys = _linear(weights, "visual.memory.keys", read)
    remembered = _looked_up(ops.softmax(keys, -1), weights["visual.memory.values"])  # (b, d)
    code, dim = architecture.get("code", 0), architecture["dim"]
    looks = ops.add(unit(embedded), _columns(remembered, 0, dim - code))
    if not code:
        return looks
    known = ops.multiply(
        unit(_columns(remembered, dim - code, dim)), _numbers(architecture["known"])
    )
    return ops.concat([unit(looks), known], 1)


def _read(tokens: Node) -> Node:
    """Return class token, mean and maximum of the patches. (b, 1 + patches, w) → (b, 3w)."""
    first, patches = _parted(tokens)
    over = _whole([1])
    parts = [
        ops.squeeze(first, over),
        ops.reduce_mean(patches, over),
        ops.reduce_max(patches, over),
    ]
    return ops.concat(parts, 1)


def _summarised(tokens: Node, shape: Mapping[str, Any]) -> Node:
    """Average the patches two by two. (b, 1 + patches, w) → (b, 1 + patches / 4, w)."""
    first, patches = _parted(tokens)
    side, width = shape["size"] // shape["patch"], shape["width"]
    grid = ops.reshape(
        ops.transpose(patches, _whole([0, 2, 1])), _whole([0, width, side, side]), True
    )
    fewer = ops.avg_pool(grid, [2, 2], [0, 0], [0, 0], [2, 2], True, "floor")
    flat = ops.reshape(fewer, _whole([0, width, -1]), True)
    return ops.concat([first, ops.transpose(flat, _whole([0, 2, 1]))], 1)


def _parted(tokens: Node) -> tuple[Node, Node]:
    """Part the class token from the patches. (b, 1, w) and (b, patches, w)."""
    end = np.iinfo(np.int64).max
    first, rest = (
        ops.slice(tokens, _whole([a]), _whole([b]), _whole([1]), _whole([1]))
        for a, b in ((0, 1), (1, end))
    )
    return first, rest


def _text_tokens(weights: Weights, embedded: Node, seen: Node, shape: Mapping[str, Any]) -> Node:
    """Return one vector a token, of the vectors of the words alone. (b, n, w) → (b, n, w)."""
    places = ops.slice(
        _numbers(weights["text.pos_embed"]),
        *(_whole([0]), _size(embedded, 1), _whole([1]), _whole([0])),
    )
    x = _norm(weights, "text.norm", ops.add(embedded, places), _TEXT_EPS)
    mask = ops.unsqueeze(seen, _whole([1, 2]))  # (b, 1, 1, n)
    block = _BlockShape(heads=shape["heads"], norm_first=False, eps=_TEXT_EPS)
    for number in range(shape["layers"]):
        x = _block(weights, f"text.blocks.{number}", x, block, mask)
    return x


def _average(tokens: Node, seen: Node) -> Node:
    """Return the mean of the tokens that are seen. (b, n, w) → (b, w)."""
    weight = ops.convert(ops.unsqueeze(seen, _whole([2])), "f32")  # (b, n, 1)
    total = ops.reduce_sum(ops.multiply(tokens, weight), _whole([1]))
    count = ops.maximum(ops.reduce_sum(weight, _whole([1])), _numbers(1.0))
    return ops.divide(total, count)


def _text_vectors(weights: Weights, architecture: Mapping[str, Any], read: Node) -> Node:
    """Embed texts by the mean of their tokens. (b, w) → (b, d), not yet of unit length."""
    embedded = _head(weights, "text.head", read)
    if not architecture.get("code", 0):
        return embedded
    keys = _linear(weights, "text.memory.keys", _norm(weights, "text.memory.norm", read, _HEAD_EPS))
    named = _columns(ops.softmax(keys, -1), 0, architecture["text"]["names"])
    code = _looked_up(named, weights["text.memory.values"])
    return ops.concat([unit(embedded), code], 1)


def _block(
    weights: Weights, name: str, x: Node, shape: _BlockShape, mask: Node | None = None
) -> Node:
    """Run one transformer layer. (b, n, w) → (b, n, w)."""
    if shape.norm_first:
        normed = _norm(weights, f"{name}.norm1", x, shape.eps)
        x = ops.add(x, _attention(weights, f"{name}.attn", normed, shape.heads, mask))
        return ops.add(
            x, _mlp(weights, f"{name}.mlp", _norm(weights, f"{name}.norm2", x, shape.eps))
        )
    attended = ops.add(x, _attention(weights, f"{name}.attn", x, shape.heads, mask))
    x = _norm(weights, f"{name}.norm1", attended, shape.eps)
    return _norm(weights, f"{name}.norm2", ops.add(x, _mlp(weights, f"{name}.mlp", x)), shape.eps)


def _attention(weights: Weights, name: str, x: Node, heads: int, mask: Node | None) -> Node:
    """Attend within each sequence; `mask` is True where a token may be looked at."""
    width = len(weights[f"{name}.proj.bias"])
    parts = ops.reshape(
        _linear(weights, f"{name}.qkv", x), _whole([0, 0, 3, heads, width // heads]), True
    )
    by_head = ops.split(ops.transpose(parts, _whole([2, 0, 3, 1, 4])), _whole(0), 3)
    q, k, v = (ops.squeeze(each, _whole([0])) for each in by_head.outputs())  # (b, h, n, w / h)
    out = ops.scaled_dot_product_attention(q, k, v, mask)
    joined = ops.reshape(ops.transpose(out, _whole([0, 2, 1, 3])), _whole([0, 0, width]), True)
    return _linear(weights, f"{name}.proj", joined)


def _head(weights: Weights, name: str, x: Node) -> Node:
    """Map into the joint space: a linear map and a correction. (b, width) → (b, dim)."""
    x = _norm(weights, f"{name}.norm", x, _HEAD_EPS)
    return ops.add(_linear(weights, f"{name}.linear", x), _mlp(weights, f"{name}.mlp", x))


def _mlp(weights: Weights, name: str, x: Node) -> Node:
    """Two linear layers with a GELU between them."""
    return _linear(weights, f"{name}.fc2", ops.gelu(_linear(weights, f"{name}.fc1", x), "erf"))


def _linear(weights: Weights, name: str, x: Node) -> Node:
    """Multiply by a matrix, (out, in), and add a bias if there is one."""
    y = ops.matmul(x, _numbers(weights[f"{name}.weight"]), False, True)
    bias = weights.get(f"{name}.bias")
    return y if bias is None else ops.add(y, _numbers(bias))


def _looked_up(shares: Node, values: NDArray[np.float32]) -> Node:
    """Return the mean of values by their shares. (b, m), (m, d) → (b, d)."""
    # As (d, m), like all other weights: the other way round OpenVINO 2026.4 computes nonsense
    # where m is odd, in bfloat16 and with weights in bytes.
    return ops.matmul(shares, _numbers(values.T), False, True)


def _norm(weights: Weights, name: str, x: Node, eps: float) -> Node:
    """Normalise the last dimension (LayerNorm)."""
    y = ops.mvn(x, _whole([-1]), True, eps, "inside_sqrt")
    y = ops.multiply(y, _numbers(weights[f"{name}.weight"]))
    return ops.add(y, _numbers(weights[f"{name}.bias"]))


def unit(x: Node) -> Node:
    """Scale rows to unit length. (b, d)."""
    length = ops.reduce_l2(x, _whole([-1]), True)
    return ops.divide(x, ops.maximum(length, _numbers(_TINY)))


def _columns(x: Node, start: int, end: int) -> Node:
    """Return some columns. (b, w) → (b, end - start)."""
    return ops.slice(x, _whole([start]), _whole([end]), _whole([1]), _whole([1]))


def _size(x: Node, axis: int) -> Node:
    """Return the length of a dimension. Shape (1,)."""
    return ops.gather(ops.shape_of(x), _whole([axis]), _whole(0))


def _numbers(value: Any) -> Node:
    """Return numbers as a node."""
    return ops.constant(np.ascontiguousarray(value, dtype=np.float32))


def _whole(value: Any) -> Node:
    """Return whole numbers as a node."""
    return ops.constant(np.array(value, dtype=np.int64))
