"""A graph in memory becomes a file of an engine: complete, or not there at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from retrieval.runtime.graph import Graph
from retrieval.runtime.graph_cache import GraphCache, Tower

LEAST = 0.999
"""Cosine that the vectors of a graph must reach with those that it is compared with."""

Inputs: TypeAlias = Sequence[NDArray[Any]]


class Refused(Exception):
    """Why a graph cannot stand for a tower."""


def write_graph(graph: ov.Model, folder: GraphCache, part: Tower) -> None:
    """Write a graph into its place.

    Raises:
        OSError: the disk is full or closed to us.
    """
    with TemporaryDirectory(dir=folder.path) as scratch:
        made = GraphCache(Path(scratch))
        save(graph, made.graph(part))
        _put(made, folder, part)


def write_checked(
    forms: Sequence[ov.Model],
    folder: GraphCache,
    part: Tower,
    inputs: Inputs,
    want: NDArray[np.float32],
) -> None:
    """Write the first of several forms of a graph whose vectors are those that are wanted.

    Raises:
        Refused: no form is near enough.
        OSError: the disk is full or closed to us.
    """
    with TemporaryDirectory(dir=folder.path) as scratch:
        made = GraphCache(Path(scratch))
        for form in forms:
            save(form, made.graph(part))
            got = run_once(made, part, inputs)
            agreement = float((got * want).sum(axis=1).min())
            if agreement >= LEAST:
                _put(made, folder, part)
                return
    raise Refused(f"its vectors reach a cosine of {agreement:.4f}")


def float32_vectors(
    graph: ov.Model, folder: GraphCache, part: Tower, inputs: Inputs
) -> NDArray[np.float32]:
    """Return the vectors of a graph for one batch, computed in float32. Shape (n, dim)."""
    with TemporaryDirectory(dir=folder.path) as scratch:
        made = GraphCache(Path(scratch))
        save(graph, made.graph(part))
        return run_once(made, part, inputs, precise=True)


def run_once(
    made: GraphCache, part: Tower, inputs: Inputs, *, precise: bool = False
) -> NDArray[np.float32]:
    """Return the vectors of a graph for one batch, unit norm."""
    graph = Graph(
        made.graph(part),
        compiled=made.compiled,
        streams=1,
        many=part == Tower.IMAGES,
        precise=precise,
    )
    vectors: NDArray[np.float32] = graph.run(*inputs)[0]
    return vectors


def save(graph: ov.Model, file: Path) -> None:
    """Write a graph.

    Raises:
        OSError: the disk is full or closed to us; this says nothing against the graph.
    """
    try:
        ov.save_model(graph, file, compress_to_fp16=True)
    except RuntimeError as error:  # all that OpenVINO raises
        raise OSError(f"cannot write '{file}': {error}") from error


def _put(made: GraphCache, folder: GraphCache, part: Tower) -> None:
    """Move a graph into its place, the file that names the other last."""
    for suffix in (".bin", ".xml"):
        made.graph(part).with_suffix(suffix).replace(folder.graph(part).with_suffix(suffix))
