"""The built-in reranker with instructions; it reads the patch tokens of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from indexer.core.encoder import Encoder, TokenShape
from indexer.core.types import Kind
from retrieval.builtin_reranker.query_reranker import check_encoder, places, score_queries, seated
from retrieval.builtin_reranker.reranker_checkpoint import (
    RerankerCheckpoint,
    load_reranker_checkpoint,
)
from retrieval.builtin_reranker.text_features import InstructionFeatures
from retrieval.builtin_reranker.word_detectors import Floats
from retrieval.errors import ModelUnavailable
from retrieval.instructions.parser import constraint_topic, split_constraints
from retrieval.instructions.templates import looks, words_of
from retrieval.models.torch_encoder import TorchEncoder
from retrieval.reranking.protocol import ImageFeatures, QueryInstruction
from retrieval.reranking.score_fusion import Scores

SURE = 2.0
"""A sign is taken for whole from 1 / SURE on: a wish that is read half surely is a wish. Chosen out
of 1, 2 and 3 on the questions that choose the weights."""

SPREAD = 0.05
"""Spread of a text's cosines with photos, where the encoder brings no photos to measure it on."""


class InstructionReranker:
    """Reranks by the patch tokens of a built-in dual encoder: words, captions and constraints.

    Args:
        checkpoint: word detectors, language models, the polarity classifier, and their encoder.
        encoder: that encoder.
        name: what a person calls it.

    Raises:
        ModelUnavailable: the encoder is another one.
    """

    def __init__(self, checkpoint: RerankerCheckpoint, encoder: TorchEncoder, name: str) -> None:
        check_encoder(checkpoint.encoder, encoder, name)
        self.name, self.fusion = name, checkpoint.fusion
        self._signs = checkpoint.signs.to(encoder.device)
        self._spotter, self._looks = checkpoint.spotter, checkpoint.looks
        self._teller = checkpoint.teller
        self._encoder = encoder
        self._reader = InstructionFeatures(encoder, checkpoint.signs.config.depth)
        self._usual_photos = encoder.bank(Kind.PHOTO)

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of the tokens that it reads from a library."""
        return self._encoder.token_shape

    def look(self, photos: Sequence[Image.Image]) -> Sequence[ImageFeatures]:
        """Return the tokens of RGB photos. Shape (tokens, width) each."""
        _, tokens = self._encoder.encode_with_tokens(photos)
        return list(tokens)

    def cuts(self, instruction: str) -> bool:
        """Return whether a constraint of an instruction is longer than the text tower reads."""
        return any(self._reader.cuts(wish) for wish in split_constraints(instruction))

    @torch.inference_mode()
    def signs(self, wishes: Sequence[str]) -> Scores:
        """Return the polarity of constraints, from -1 (forbids) to 1 (asks). Shape (wishes,)."""
        signs: Scores = self._signs(*self._reader.early(wishes)).double().cpu().numpy()
        return signs

    @torch.inference_mode()
    def score(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Scores:
        """Score pairs of texts and photos. Shape (couples,).

        A query is scored by word detectors and caption language models. A constraint is scored by
        the log-odds that the photo shows its subject, plus the cosine of the two in the dual
        encoder, in units of its spread. A constraint that names only a style attribute is scored by
        the log-odds of that attribute. Each score is multiplied by the polarity of the constraint.
        """
        if not asked:
            return np.zeros(0)
        couples = seated(asked, sights)
        scores = score_queries(self._spotter, self._teller, couples)
        parted = {
            text: split_constraints(text) for text in {instruction for _, instruction in asked}
        }
        told = [(number, wish) for number, (_, text) in enumerate(asked) for wish in parted[text]]
        if told:
            wishes = places(wish for _, wish in told)
            wished = [(wishes[wish], couples.photo[number]) for number, wish in told]
            added = self._wished(list(wishes), couples.tokens, wished)
            np.add.at(scores, [number for number, _ in told], added)
        return scores

    def _wished(
        self, wishes: list[str], tokens: Floats, couples: Sequence[tuple[int, int]]
    ) -> Scores:
        """Score wishes with photos, where they make a couple. Shape (couples,)."""
        signs = np.clip(SURE * self.signs(wishes), -1.0, 1.0)  # (wishes,)
        about = [constraint_topic(wish, self._knows) for wish in wishes]
        text, photo = np.array(couples).T
        wished: Scores = (signs[:, None] * self._shown(about, tokens))[text, photo]
        return wished

    def _shown(self, about: list[str], tokens: Floats) -> Scores:
        """Say how surely photos show things, or look so. (t), (p, m, d) → (t, p)."""
        shown = self._spotter.odds(about, tokens) + self._alike(about, tokens)
        for row, each in enumerate(about):
            if (look := self._looks.named(each)) is not None:
                shown[row] = self._looks.odds([look], tokens)[0]
        return shown

    def _alike(self, about: list[str], tokens: Floats) -> Scores:
        """Return the dual encoder's cosines in units of usual photos. (t), (p, m, d) → (t, p).

        0 is what a usual photo has, so that the sign of a score tells whether a photo shows it.
        """
        texts = self._encoder.encode_texts(about)
        cosines = texts @ self._encoder.embed_tokens(tokens).T
        usual = self._usual_photos
        known = texts @ usual.T if len(usual) else np.zeros((len(texts), 1))
        spread = known.std(axis=1, keepdims=True) if len(usual) else SPREAD
        units: Scores = (cosines - known.mean(axis=1, keepdims=True)).astype(np.float64) / spread
        return units

    def _knows(self, phrase: str) -> bool:
        """Tell whether the words that are spotted, or looks, have a word of a phrase."""
        return bool(self._spotter.named(phrase)) or not looks().isdisjoint(words_of(phrase))


def load_token_reranker(folder: Path, encoder: Encoder, name: str) -> InstructionReranker:
    """Load a reranker that `twinlens train-reranker` wrote.

    Raises:
        ModelUnavailable: it is missing or damaged, or reads with another encoder.
    """
    if not isinstance(encoder, TorchEncoder):
        raise ModelUnavailable(f"the reranker {name!r} does not read with {encoder.name!r}")
    return InstructionReranker(load_reranker_checkpoint(folder), encoder, name)
