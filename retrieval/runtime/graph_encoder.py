"""The encoder without torch: photos and texts through the exported graphs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.core.encoder import Tokens, TokenShape, Vectors
from indexer.core.errors import TwinlensError
from indexer.core.resize import ImageInputSpec
from indexer.core.types import Hubness, Kind
from retrieval.errors import ModelUnavailable
from retrieval.models.clip_tokenizer import ClipTokenizer
from retrieval.models.language_tower import LanguageTower, encoded_by_language, language_tower
from retrieval.models.languages import ENGLISH
from retrieval.models.model_folder import TOKENIZER
from retrieval.models.phrases import Phrase, PromptTower, slot_ids
from retrieval.models.reference_vectors import bank_file, generic_captions, load_bank, save_bank
from retrieval.models.tokenizer import (
    FileTokenizer,
    Ids,
    Tokenizer,
    WordPieceTokenizer,
    is_whole,
    padded,
    unread,
)
from retrieval.runtime.builtin_layers import BuiltinLayers
from retrieval.runtime.graph import Arrays, Graph, cores
from retrieval.runtime.graph_cache import GraphCache, ModelInfo, TokenizerKind, Tower, engine_folder

if TYPE_CHECKING:
    from retrieval.models.torch_encoder import TorchEncoder

PHOTOS = 16
"""Photos of one request: while two are computed, the next is prepared. Eight at once
take a tenth longer."""

TEXTS = 32
"""Texts of one request, of like length."""

T = TypeVar("T")


class WeightSource(Protocol):
    """Where the towers of an exported model come from."""

    @property
    def folder(self) -> Path | None:
        """The model's own folder, where its reference vectors are; None if it has none."""
        ...

    @property
    def towers(self) -> TorchEncoder:
        """The model in torch."""
        ...

    def prepare(self, folder: GraphCache, part: Tower) -> GraphCache:
        """Make a part of the engine, if it can be made, and return the folder in which it is.

        That is the given one, or one for this process alone where nothing can be kept.
        """
        ...


class EngineEncoder:
    """Encodes with exported graphs; each is made when it is first needed.

    Args:
        about: what the model is.
        source: makes the parts, and has the model in torch for what has no part.
        few: only a few texts or photos will be encoded, so that towers may rest after them.
    """

    def __init__(self, about: ModelInfo, source: WeightSource, *, few: bool = False) -> None:
        self._about, self._source, self._few = about, source, few
        self._folder = engine_folder(about.fingerprint)
        self._homes = dict.fromkeys(Tower, self._folder)

    @property
    def name(self) -> str:
        """What a person calls the model."""
        return self._about.name

    @property
    def fingerprint(self) -> str:
        """Hash of architecture, weights and preprocessing."""
        return self._about.fingerprint

    @property
    def dim(self) -> int:
        """Length of every vector."""
        return self._about.dim

    @property
    def image_size(self) -> int:
        """Pixels a side that the image tower sees."""
        return self._about.image.size

    @property
    def device(self) -> str:
        """Where it computes."""
        return "cpu"

    @property
    def square(self) -> ImageInputSpec:
        """How a photo becomes what the image tower sees."""
        return self._about.image

    @property
    def hubness(self) -> Hubness:
        """How the hubness of items is measured and corrected with this model."""
        return self._about.hubness

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of a photo's image tokens; None for towers that give none."""
        return self._about.tokens

    def bank(self, kind: Kind) -> Vectors:
        """Return vectors of generic photos or texts. Shape (bank, dim); empty for none.

        Raises:
            ModelUnavailable: the model's own file is broken or of other weights.
        """
        folder = self._source.folder
        file = bank_file(folder, kind) if folder else None
        if file is not None and file.exists():
            return load_bank(file, fingerprint=self.fingerprint, dim=self.dim)
        return self._cached_bank() if kind == Kind.TEXT else self.encode_texts([])

    def _cached_bank(self) -> Vectors:
        """Return vectors of generic texts, embedded once a model. Shape (bank, dim)."""
        file = bank_file(self._folder.path, Kind.TEXT)
        with suppress(ModelUnavailable):
            return load_bank(file, fingerprint=self._bank_fingerprint, dim=self.dim)
        vectors = self.encode_texts(generic_captions())
        with suppress(OSError, TwinlensError):  # embedded anew the next time
            self._folder.make()
            save_bank(file, vectors, fingerprint=self._bank_fingerprint)
        return vectors

    @property
    def _bank_fingerprint(self) -> str:
        """Hash of the model and of the captions."""
        captions = hashlib.blake2b("\n".join(generic_captions()).encode(), digest_size=8)
        return f"{self.fingerprint}-{captions.hexdigest()}"

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed RGB photos. Shape (photos, dim), unit norm."""
        if self._images is None:
            return self.towers.encode_images(images)
        return self._joined(self._see(images))

    def encode_with_tokens(self, images: Sequence[Image.Image]) -> tuple[Vectors, Tokens]:
        """Embed RGB photos, and give the image tokens that a reranker reads, in one pass.

        Shapes (photos, dim) and (photos, tokens, width).

        Raises:
            ModelUnavailable: the towers give no tokens.
        """
        shape = self.token_shape
        if shape is None:
            raise ModelUnavailable(f"the model {self.name!r} gives no image tokens")
        if self._images is None:
            return self.towers.encode_with_tokens(images)
        seen = self._see(images)
        empty = np.zeros((0, shape.tokens, shape.width), dtype=np.float32)
        return self._joined(seen), np.concatenate([empty, *(each[1] for each in seen)])

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, each with the tower of its language. Shape (texts, dim), unit norm.

        Where the model must be told the language, it is English.
        """
        return encoded_by_language(self._languages, texts, self._encode_english)

    @property
    def other_languages(self) -> tuple[str, ...]:
        """The codes of the languages that it reads beside English; empty for none."""
        return self._languages.languages if self._languages is not None else ()

    def is_foreign(self, text: str) -> bool:
        """Return whether a text is read as one in another language than English."""
        return self._languages is not None and self._languages.is_foreign(text)

    def _encode_english(self, texts: Sequence[str]) -> Vectors:
        """Embed texts with the one tower that every model has. Shape (texts, dim), unit norm."""
        return self.encode_in(texts, ENGLISH) if texts else self._joined([])

    def languages(self) -> Collection[str]:
        """Return the languages that the model must be told, in FLORES codes; mostly none."""
        if self._about.words != TokenizerKind.FILE or self._texts is None:
            return ()
        return self._file_reader.languages

    def encode_in(self, texts: Sequence[str], language: str) -> Vectors:
        """Embed texts of a language of `languages`. Shape (texts, dim), unit norm."""
        if self._texts is None:
            return self.towers.encode_texts(texts)
        order = np.argsort([len(text) for text in texts], kind="stable")
        size = self._texts.batch or TEXTS
        batches = _batches([texts[row] for row in order], size)
        read = [self._words(batch, language) for batch in batches]
        vectors = self._joined(self._texts.run_all(read))
        return vectors[np.argsort(order)] if len(texts) else vectors

    @property
    def reads_instructions(self) -> bool:
        """Tell whether its text tower gives tokens to a reranker."""
        return self._about.words == TokenizerKind.PIECES

    def embed_tokens(self, tokens: Tokens) -> Vectors:
        """Embed photos by the tokens that `encode_with_tokens` gave: nearly their vectors.

        (photos, tokens, width) → (photos, dim), unit norm.

        Raises:
            ModelUnavailable: the towers give no tokens.
        """
        return self._layers.embed_tokens(tokens)

    def read_early(self, texts: Sequence[str], depth: int) -> list[NDArray[np.float32]]:
        """Return tokens of texts after the first blocks of the text tower, without padding.

        Shape (n, text width) each.

        Raises:
            ModelUnavailable: the tower gives no tokens.
        """
        ids = self._words_reader.ids(texts)
        states = self._layers.read_early(ids, depth)
        return [row[:n] for row, n in zip(states, (ids != 0).sum(axis=1), strict=True)]

    def fills(self, text: str) -> bool:
        """Tell whether a text fills all that the text tower reads: its end may be left out."""
        return len(self._words_reader.ids([text])[0]) >= self._about.context

    def encode_phrases(self, phrases: Sequence[Phrase], table: NDArray[np.float32]) -> Vectors:
        """Embed phrases with slots for rows of a table. Shape (phrases, dim), unit norm."""
        if not phrases:
            return self._joined([])
        if self._texts is None:
            return self.towers.encode_phrases(phrases, table)
        ids = slot_ids(self._reader.ids, phrases)
        embedded = self._embedded(np.maximum(ids, 0))
        slots = ids < 0
        embedded[slots] = table[-1 - ids[slots]]
        return self._joined([self._texts.run(embedded, ids)])

    def prompt_tower(self) -> PromptTower:
        """Return the text tower, reading vectors in the place of words.

        Raises:
            ModelUnavailable: this model's cannot.
            ExtraMissing: it takes torch, which is not installed.
        """
        if not self.reads_instructions:
            return self.towers.prompt_tower()
        from retrieval.runtime.builtin_prompts import BuiltinPrompts  # learning alone needs it

        return BuiltinPrompts(self._twin_folder(), self._words_reader.ids)

    def knows(self, word: str) -> bool:
        """Return whether a word is read as one; until there is a text tower here, all are."""
        foreign = self._about.words == TokenizerKind.FILE
        return foreign or not self._has_texts or is_whole(self._reader.ids([word]))

    def unread(self, text: str) -> str:
        """Return the end of a text that is too long to be read; empty for none."""
        if self._languages is not None and self._languages.is_foreign(text):
            return unread(text, self._languages.ids)
        return unread(text, self._reader.ids) if self._has_texts else self.towers.unread(text)

    @property
    def _has_texts(self) -> bool:
        """Return whether there is a text tower here."""
        return bool(self._about.words) and self._homes[Tower.TEXTS].graph(Tower.TEXTS).exists()

    def rest(self) -> None:
        """Close the towers where only few inputs were to come; one more input opens them again."""
        if self._few:
            vars(self).pop("_images", None)
            vars(self).pop("_texts", None)

    @property
    def towers(self) -> TorchEncoder:
        """The same model in torch."""
        return self._source.towers

    @cached_property
    def _images(self) -> Graph | None:
        """The image tower; None if it stays with torch."""
        return self._graph(Tower.IMAGES, streams=cores())

    @cached_property
    def _texts(self) -> Graph | None:
        """The text tower; None if it stays with torch."""
        return self._graph(Tower.TEXTS, streams=1) if self._about.words else None

    @cached_property
    def _reader(self) -> Tokenizer:
        """What cuts texts into tokens."""
        if self.reads_instructions:
            return self._words_reader
        if self._about.words == TokenizerKind.FILE:
            return self._file_reader
        return ClipTokenizer(self._homes[Tower.TEXTS].pairs, self._about.context)

    @cached_property
    def _file_reader(self) -> FileTokenizer:
        """What cuts texts into tokens, of a pair of ONNX files."""
        return FileTokenizer(self._homes[Tower.TEXTS].tokenizer)

    @cached_property
    def _words_reader(self) -> Tokenizer:
        """What cuts texts into tokens, of the built-in text tower, from the model's own folder."""
        file = self._twin_folder() / TOKENIZER
        if not file.is_file():
            raise ModelUnavailable(f"model '{file.parent}' lacks {TOKENIZER}")
        return WordPieceTokenizer(file, self._about.context)

    @cached_property
    def _languages(self) -> LanguageTower | None:
        """The text tower for other languages than English; None if there is none."""
        return language_tower(self._source.folder, self.fingerprint)

    @cached_property
    def _layers(self) -> BuiltinLayers:
        """Parts of the towers in numpy."""
        return BuiltinLayers(self._twin_folder())

    def _twin_folder(self) -> Path:
        """Return the folder of a model of the built-in architecture."""
        folder = self._source.folder
        if folder is None or not self.reads_instructions:
            raise ModelUnavailable(f"the model {self.name!r} gives no tokens")
        return folder

    @cached_property
    def _table(self) -> NDArray[np.float16]:
        """The vectors of words, read from disk as they are used. Shape (vocabulary, width)."""
        table: NDArray[np.float16] = np.load(self._homes[Tower.TEXTS].words, mmap_mode="r")
        return table

    def _graph(self, part: Tower, streams: int) -> Graph | None:
        """Open a tower: made if it is not there, and made again if it is broken."""
        for _ in range(2):
            home = self._homes[part]
            if not home.graph(part).exists():
                self._homes[part] = home = self._source.prepare(home, part)
            if not home.graph(part).exists():
                return None
            try:
                return Graph(
                    home.graph(part),
                    compiled=home.compiled,
                    streams=streams,
                    many=part == Tower.IMAGES,
                )
            except RuntimeError:  # all that OpenVINO raises
                home.graph(part).unlink()
        return None

    def _see(self, images: Sequence[Image.Image]) -> list[Arrays]:
        """Run the image tower over photos: vectors, and tokens if it gives any, a batch each."""
        assert self._images is not None
        return self._images.run_all(
            (np.stack([self._about.image.pixels(image) for image in batch]),)
            for batch in _batches(images, self._images.batch or PHOTOS)
        )

    def _words(self, texts: Sequence[str], language: str) -> Arrays:
        """Look up the vectors of the words of texts. Shapes (b, n, w) and (b, n)."""
        told = self._about.words == TokenizerKind.FILE
        ids = self._file_reader.ids(texts, language) if told else self._reader.ids(texts)
        if self._about.pad is not None:
            assert self._texts is not None
            return (padded(ids, self._texts.length or ids.shape[1], self._about.pad),)
        return self._embedded(ids), ids

    def _embedded(self, ids: Ids) -> NDArray[np.float32]:
        """Look up the vectors of words. (b, n) → (b, n, w)."""
        return self._layers.words(ids) if self.reads_instructions else self._table[ids].astype("f4")

    def _joined(self, parts: Sequence[Arrays]) -> Vectors:
        """Put batches together, each vector of unit length. Shape (n, dim)."""
        empty = np.zeros((0, self.dim), dtype=np.float32)
        vectors: Vectors = np.concatenate([empty, *(each[0].astype(np.float32) for each in parts)])
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into runs of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
