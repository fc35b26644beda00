"""The parts of an engine for a model of the built-in architecture, made without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrieval.errors import ModelUnavailable
from retrieval.models.model_folder import WEIGHTS, ModelDescription
from retrieval.models.stored_weights import StoredWeights
from retrieval.runtime.builtin_graphs import image_graph, text_graph
from retrieval.runtime.graph import bytes_pay, precision
from retrieval.runtime.graph_cache import GraphCache, Tower
from retrieval.runtime.graph_writing import float32_vectors, write_checked, write_graph
from retrieval.runtime.probes import probe_photos
from retrieval.runtime.weight_quantization import with_weights_in_bytes


def make_part(model: Path, said: ModelDescription, folder: GraphCache, part: Tower) -> None:
    """Write a tower into an engine's folder. Whoever is killed here leaves no graph, or all of it.

    Args:
        model: folder of the model.
        said: what its config says.
        folder: of the engine; it is there.
        part: the tower.

    Raises:
        ModelUnavailable: the weights are broken, or are those of another architecture.
        OSError: the disk is full or closed to us.
    """
    try:
        with StoredWeights(model / WEIGHTS) as weights:
            if part == Tower.IMAGES:
                _make_images(weights, said, folder)
            else:
                write_graph(text_graph(weights, said.architecture), folder, Tower.TEXTS)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelUnavailable(f"model '{model}' is damaged or of another kind: {error}") from error


def _make_images(weights: StoredWeights, said: ModelDescription, folder: GraphCache) -> None:
    """Write the image tower: with weights in bytes where that is quicker and says the same."""
    graph = image_graph(weights, said.architecture, said.image)
    if not (bytes_pay(many=True) and precision(many=True) == "f32"):  # bfloat16 is as fast here
        write_graph(graph, folder, Tower.IMAGES)
        return
    photos = np.stack([said.image.pixels(photo) for photo in probe_photos(said.image.size)])
    want = float32_vectors(graph, folder, Tower.IMAGES, (photos,))
    write_checked([with_weights_in_bytes(graph), graph], folder, Tower.IMAGES, (photos,), want)
