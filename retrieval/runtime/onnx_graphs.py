"""A pair of ONNX files becomes the graphs that `GraphEncoder` runs, without torch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from indexer.core.atomic_io import replacing
from indexer.core.errors import TwinlensError, explained
from indexer.core.types import Hubness
from retrieval.errors import ModelUnavailable
from retrieval.models.clip_tokenizer import ClipTokenizer, write_clip_words
from retrieval.models.onnx_pair import OnnxPair
from retrieval.models.tokenizer import PAD, FileTokenizer, Tokenizer, padded, write_file_tokenizer
from retrieval.runtime.builtin_graphs import normalized, unit
from retrieval.runtime.graph import bytes_pay, core
from retrieval.runtime.graph_cache import (
    GraphCache,
    ModelInfo,
    TokenizerKind,
    Tower,
    engine_folder,
    known_fingerprint,
    remember_fingerprint,
)
from retrieval.runtime.graph_writing import Refused, float32_vectors, write_checked, write_graph
from retrieval.runtime.probes import TEXTS, probe_photos
from retrieval.runtime.text_length import of_any_length
from retrieval.runtime.weight_quantization import with_weights_in_bytes

if TYPE_CHECKING:
    from retrieval.models.torch_encoder import TorchEncoder

Phase = Callable[[str], AbstractContextManager[None]]

_SAME = 0.99999
"""Cosine of a text's vectors with and without what fills it up, both in float32."""

_BROKEN = (RuntimeError, IndexError, AttributeError)
"""What OpenVINO raises for a file that is no graph, or one of other inputs and outputs."""


class OnnxSource:
    """Makes the graphs of a pair of ONNX files.

    Args:
        pair: the files.
        phase: shows what takes its time.
    """

    folder = None

    def __init__(self, pair: OnnxPair, phase: Phase) -> None:
        self._pair, self._phase = pair, phase

    @property
    def towers(self) -> TorchEncoder:
        """There is no model in torch.

        Raises:
            ModelUnavailable: always.
        """
        raise ModelUnavailable(
            f"the model '{self._pair.name}' is a pair of ONNX files: it indexes and searches, but "
            "cannot be trained or learn names; use the built-in model or one of open_clip for that"
        )

    def about(self) -> ModelInfo:
        """Say what the model is: read from the cache, or from its files.

        Raises:
            ModelUnavailable: a file is missing or broken.
        """
        key, files = str(self._pair.visual.resolve()), self._pair.files
        fingerprint = known_fingerprint(key, files)
        known = engine_folder(fingerprint).read() if fingerprint else None
        if known is not None:
            return known
        with self._phase("reading the model (once)"):
            return self._described(key, files)

    def _described(self, key: str, files: list[Path]) -> ModelInfo:
        """Read what the model is, and keep it for the next time."""
        fingerprint = self._pair.fingerprint()
        visual = self._read(self._pair.visual)
        size, dim = visual.input(0).partial_shape[2], _vectors(visual).partial_shape[1]
        if dim.is_dynamic:
            dim = _vectors(self._read(self._pair.textual)).partial_shape[1]
        if dim.is_dynamic:
            raise ModelUnavailable(f"'{self._pair.visual}' does not say the length of its vectors")
        about = ModelInfo(
            name=self._pair.name,
            fingerprint=fingerprint,
            dim=dim.get_length(),
            image=self._pair.image(224 if size.is_dynamic else size.get_length()),
            tokens=None,
            hubness=Hubness(),
            words=TokenizerKind.CLIP if self._is_clip else TokenizerKind.FILE,
            context=self._pair.context,
            pad=self._pad,
        )
        folder = engine_folder(fingerprint)
        try:
            folder.make()
            folder.write(about)
        except (OSError, TwinlensError):
            return about  # read anew the next time
        remember_fingerprint(key, files, fingerprint)
        return about

    def prepare(self, folder: GraphCache, part: Tower) -> GraphCache:
        """Make a graph in a folder, and return it.

        Raises:
            ModelUnavailable: the file is no graph of a tower, or the disk is full or closed to us.
        """
        tower = "image" if part == Tower.IMAGES else "text"
        try:
            with self._phase(f"preparing the {tower} model of {self._pair.name} (once)"):
                folder.make()
                if part == Tower.IMAGES:
                    self._prepare_images(folder)
                else:
                    self._prepare_texts(folder)
            return folder
        except OSError as error:
            raise ModelUnavailable(
                f"cannot keep the model: {explained(error, folder.path)}"
            ) from error
        except _BROKEN as error:
            broken = self._pair.visual if part == Tower.IMAGES else self._pair.textual
            raise ModelUnavailable(
                f"'{broken}' is no {tower} tower of a dual encoder: {_line(error)}"
            ) from error

    def _prepare_images(self, folder: GraphCache) -> None:
        """Write the image tower: bytes as they come from a photo go in."""
        about = self.about()
        graph = _on_bytes(self._read(self._pair.visual), about)
        pixels = np.stack([about.image.pixels(each) for each in probe_photos(about.image.size)])
        want = _sound(float32_vectors(graph, folder, Tower.IMAGES, (pixels,)))
        _write_quickest(graph, folder, Tower.IMAGES, pixels, want)

    def _prepare_texts(self, folder: GraphCache) -> None:
        """Write the text tower and its tokenizer: ids go in."""
        reader = self._write_tokenizer(folder)
        source = self._read(self._pair.textual)
        graph = _on_ids(source, self._pair.context, self._pad)
        ids = padded(reader.ids(TEXTS), self._pair.context, self._pad)
        want = _sound(float32_vectors(graph, folder, Tower.TEXTS, (ids,)))
        shorter = self._of_any_length(folder, reader, want)
        graph, ids = (graph, ids) if shorter is None else (shorter, reader.ids(TEXTS))
        _write_quickest(graph, folder, Tower.TEXTS, ids, want)

    def _of_any_length(
        self, folder: GraphCache, reader: Tokenizer, want: NDArray[np.float32]
    ) -> Any:
        """Return the text tower for texts of any length; None if their vectors would change."""
        try:
            source = of_any_length(self._read(self._pair.textual), self._pair.context)
            graph = _on_ids(source, None, self._pad)
            together = float32_vectors(graph, folder, Tower.TEXTS, (reader.ids(TEXTS),))
            alone = float32_vectors(graph, folder, Tower.TEXTS, (reader.ids(TEXTS[:1]),))
        except _BROKEN:
            return None
        got, wanted = np.concatenate([together, alone]), np.concatenate([want, want[:1]])
        return graph if float((got * wanted).sum(axis=1).min()) >= _SAME else None

    def _write_tokenizer(self, folder: GraphCache) -> Tokenizer:
        """Write what cuts texts into tokens, and return it."""
        if self._is_clip:
            with replacing(folder.pairs) as part:
                write_clip_words(self._pair.tokenizer, part)
            return ClipTokenizer(folder.pairs, self._pair.context)
        with replacing(folder.tokenizer) as part:
            write_file_tokenizer(
                self._pair.tokenizer,
                part,
                context=self._pair.context,
                pad=self._pad,
                canonical=self._pair.canonical,
            )
        return FileTokenizer(folder.tokenizer)

    @property
    def _is_clip(self) -> bool:
        """Tell whether the vocabulary is CLIP's own list of merges."""
        return self._pair.tokenizer.suffix == ".gz"

    @property
    def _pad(self) -> int:
        """The id that fills a text up.

        Raises:
            ModelUnavailable: the tokenizer has no such token.
        """
        if self._is_clip or not self._pair.pad_token:
            return PAD
        import tokenizers

        try:
            file = tokenizers.Tokenizer.from_file(str(self._pair.tokenizer))
        except Exception as error:
            raise ModelUnavailable(f"'{self._pair.tokenizer}' is broken: {_line(error)}") from error
        found = file.token_to_id(self._pair.pad_token)
        if found is None:
            raise ModelUnavailable(
                f"'{self._pair.tokenizer}' has no token '{self._pair.pad_token}' to fill texts up"
            )
        return int(found)

    def _read(self, file: Path) -> Any:
        """Read a graph.

        Raises:
            ModelUnavailable: the file is none.
        """
        try:
            return core().read_model(str(file))
        except RuntimeError as error:
            raise ModelUnavailable(f"'{file}' is no ONNX file: {_line(error)}") from error


def _write_quickest(
    graph: Any,
    folder: GraphCache,
    part: Tower,
    given: NDArray[Any],
    want: NDArray[np.float32],
) -> None:
    """Write a tower, and then with weights in bytes where that pays and is near enough."""
    write_graph(graph, folder, part)
    if bytes_pay(many=part == Tower.IMAGES):
        # Read again, its other numbers are halves: of a graph in memory they would be kept whole.
        halves = core().read_model(folder.graph(part), config={"ENABLE_MMAP": False})
        with suppress(Refused):
            write_checked([with_weights_in_bytes(halves)], folder, part, (given,), want)


def _on_bytes(graph: Any, about: ModelInfo) -> Any:
    """Return the image tower with its preprocessing: uint8 (b, s, s, 3) → vectors."""
    (old,) = graph.get_parameters()
    batch, side = _length(old, 0), about.image.size
    graph.reshape({0: [batch, 3, side, side]})
    new = ops.parameter([batch, side, side, 3], np.uint8, name="pixels")
    return _fed(graph, {old: normalized(new, about.image)}, new)


def _on_ids(graph: Any, context: int | None, pad: int) -> Any:
    """Return the text tower on ids alone: int64 (b, context) → vectors.

    A tower with a second input is given the mask of what is no padding. Without `context` it takes
    any number of tokens.
    """
    first, *others = graph.get_parameters()
    shape = [_length(first, 0), context or -1]
    graph.reshape(dict.fromkeys(range(1 + len(others)), shape))
    new = ops.parameter(shape, np.int64, name="ids")
    mask = ops.not_equal(new, ops.constant(np.int64(pad)))
    return _fed(graph, {first: new, **dict.fromkeys(others, mask)}, new)


def _length(parameter: Any, axis: int) -> int:
    """Return a side of an input as its export named it; -1 for any."""
    side = parameter.get_partial_shape()[axis]
    return -1 if side.is_dynamic else int(side.get_length())


def _fed(graph: Any, sources: dict[Any, Any], new: Any) -> Any:
    """Put nodes in the place of a graph's inputs, and keep its vectors alone."""
    vectors = _vectors(graph)
    for old, source in sources.items():
        kind = old.get_element_type()
        old.output(0).replace(ops.convert(source, kind.get_type_name()).output(0))
    result = ops.result(unit(ops.convert(vectors.node.input_value(0), "f32")))
    return ov.Model([result], [new])


def _vectors(graph: Any) -> Any:
    """Return the output of a graph that holds one vector for each input."""
    for output in graph.outputs:
        rank = output.partial_shape.rank
        if rank.is_static and rank.get_length() == 2:
            return output
    raise IndexError("none of its outputs is one vector for each input")


def _sound(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors, once they are seen to be numbers."""
    if not np.isfinite(vectors).all():
        raise RuntimeError("its vectors are not finite")
    return vectors


def _line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
