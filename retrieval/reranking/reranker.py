"""The reranker that ships: it reads the tokens of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from indexer.encoder import Encoder, TokenShape
from retrieval.errors import ModelUnavailable
from retrieval.models.encoder import TowerEncoder
from retrieval.reranking.clauses import clauses, subject
from retrieval.reranking.fusion import Scores
from retrieval.reranking.grammar import looks
from retrieval.reranking.network import Words
from retrieval.reranking.protocol import Asked, Sight
from retrieval.reranking.reading import TextReader
from retrieval.reranking.spotting import Floats, words_of
from retrieval.reranking.store import Checkpoint, load_reranker_checkpoint
from retrieval.reranking.word_reranker import check_encoder, places, score_queries, seated

COUPLES = 256  # scored at once: 50 MB of activations

ALIKE = 20.0
"""What a cosine counts beside the words that are spotted, in what a wish is about. Chosen out of 0
to 50 on the questions that choose the weights, each at the largest weight that is fair."""


class TokenReranker:
    """Rescores by the tokens of a built-in dual encoder: words, captions, and a network.

    Args:
        checkpoint: the network, words, language models, and the encoder they were trained with.
        encoder: that encoder.
        name: what a person calls it.

    Raises:
        ModelUnavailable: the encoder is another one.
    """

    def __init__(self, checkpoint: Checkpoint, encoder: TowerEncoder, name: str) -> None:
        check_encoder(checkpoint.encoder, encoder, name)
        self.name, self.fusion = name, checkpoint.fusion
        self._network = checkpoint.network.to(encoder.device)
        self._spotter, self._teller = checkpoint.spotter, checkpoint.teller
        self._share = checkpoint.share
        self._encoder = encoder
        self._reader = TextReader(encoder, checkpoint.network.config.sign_depth)

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of the tokens that it reads from a library."""
        return self._encoder.token_shape

    def look(self, photos: Sequence[Image.Image]) -> Sequence[Sight]:
        """Return the tokens of RGB photos. Shape (tokens, width) each."""
        _, tokens = self._encoder.encode_with_tokens(photos)
        return list(tokens)

    def cuts(self, instruction: str) -> bool:
        """Tell whether a wish of an instruction is longer than the text tower reads."""
        return any(self._reader.cuts(wish) for wish in clauses(instruction))

    @torch.inference_mode()
    def signs(self, wishes: Sequence[str]) -> Scores:
        """Tell what single wishes want, from -1 (forbids) to 1 (asks). Shape (wishes,)."""
        signs: Scores = self._network.sign(*self._reader.early(wishes)).double().cpu().numpy()
        return signs

    @torch.inference_mode()
    def score(self, asked: Sequence[Asked], sights: Sequence[Sight]) -> Scores:
        """Score couples of texts and photos. Shape (couples,).

        A query counts by its words that are spotted on the photo, and by how likely it is told of
        it. Each wish of an instruction counts by its words, too, by how like the photo what it is
        about is to the dual encoder, and by what the network makes of both, if it has ever heard of
        that; all times its sign.
        """
        if not asked:
            return np.zeros(0)
        couples = seated(asked, sights)
        scores = score_queries(self._spotter, self._teller, couples)
        told = [(number, wish) for number, (_, text) in enumerate(asked) for wish in clauses(text)]
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
        device = self._encoder.device
        words = self._network.words(*self._reader.read([], wishes))
        once = list(dict.fromkeys(couples))  # each is looked at once
        text, photo = torch.tensor(once).T.to(device)
        looked = self._looked(words, tokens, text, photo)  # (once,), times the sign
        signed = words.sign[text].double().cpu().numpy()
        about = [subject(wish, self._knows) for wish in wishes]
        share = self._share * np.array([self._knows(each) for each in about])[text.cpu()]
        seen = self._spotter.spotted(wishes, tokens)
        seen += ALIKE * self._encoder.encode_texts(about) @ self._encoder.embed_tokens(tokens).T
        shown = signed * seen[tuple(zip(*once, strict=True))]
        table = dict(zip(once, shown + share * looked, strict=True))
        return np.array([table[couple] for couple in couples])

    def _knows(self, phrase: str) -> bool:
        """Tell whether captions or looks that the network learned from have a word of a phrase."""
        return bool(self._spotter.named(phrase)) or not looks().isdisjoint(words_of(phrase))

    def _looked(self, words: Words, tokens: Floats, text: Tensor, photo: Tensor) -> Scores:
        """Let the network score couples, in portions, if it counts. Shape (couples,)."""
        if not self._share:
            return np.zeros(len(text))
        sights = self._network.sights(torch.from_numpy(tokens).to(text.device))
        portions = zip(torch.split(text, COUPLES), torch.split(photo, COUPLES), strict=True)
        parts = [self._network.score(words, sights, *portion) for portion in portions]
        scores: Scores = torch.cat(parts).double().cpu().numpy()
        return scores


def load_token_reranker(folder: Path, encoder: Encoder, name: str) -> TokenReranker:
    """Load a reranker that `twinlens train-reranker` wrote.

    Raises:
        ModelUnavailable: it is missing or damaged, or reads with another encoder.
    """
    if not isinstance(encoder, TowerEncoder):
        raise ModelUnavailable(f"the reranker {name!r} does not read with {encoder.name!r}")
    return TokenReranker(load_reranker_checkpoint(folder), encoder, name)
