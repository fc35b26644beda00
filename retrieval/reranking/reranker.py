"""The reranker that ships: it reads the tokens of the encoder."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from indexer.encoder import Encoder, TokenShape
from retrieval.errors import ModelUnavailable
from retrieval.models.encoder import TowerEncoder
from retrieval.reranking.fusion import Scores
from retrieval.reranking.network import Words
from retrieval.reranking.protocol import Asked, Sight
from retrieval.reranking.reading import TextReader
from retrieval.reranking.spotting import Floats
from retrieval.reranking.store import Checkpoint, load_reranker_checkpoint
from retrieval.reranking.word_reranker import check_encoder

COUPLES = 256  # scored at once: 50 MB of activations

Key = TypeVar("Key", bound=Hashable)


class TokenReranker:
    """Rescores by the tokens of a built-in dual encoder: words spotted, and a network.

    Args:
        checkpoint: the network, the words, and the encoder they were trained with.
        encoder: that encoder.
        name: what a person calls it.

    Raises:
        ModelUnavailable: the encoder is another one.
    """

    def __init__(self, checkpoint: Checkpoint, encoder: TowerEncoder, name: str) -> None:
        check_encoder(checkpoint.encoder, encoder, name)
        self.name, self.fusion = name, checkpoint.fusion
        self._network = checkpoint.network.to(encoder.device)
        self._spotter, self._share = checkpoint.spotter, checkpoint.share
        self._encoder, self._reader = encoder, TextReader(encoder)

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of the tokens that it reads from a library."""
        return self._encoder.token_shape

    def look(self, photos: Sequence[Image.Image]) -> Sequence[Sight]:
        """Return the tokens of RGB photos. Shape (tokens, width) each."""
        _, tokens = self._encoder.encode_with_tokens(photos)
        return list(tokens)

    def cuts(self, instruction: str) -> bool:
        """Tell whether an instruction is longer than the text tower reads."""
        return self._reader.cuts(instruction)

    @torch.inference_mode()
    def score(self, asked: Sequence[Asked], sights: Sequence[Sight]) -> Scores:
        """Score couples of texts and photos. Shape (couples,).

        A query counts by its words that are spotted on the photo. An instruction does so, too, and
        by what the network makes of it and the photo; all that times its sign.
        """
        queries = _places(query for query, _ in asked)
        wishes = _places(wish for _, wish in asked if wish)
        photos = {id(sight): np.asarray(sight, dtype=np.float32) for sight in sights}
        seats = _places(photos)
        photo = [seats[id(sight)] for sight in sights]
        if not asked:
            return np.zeros(0)
        tokens = np.stack(list(photos.values()))  # (photos, m, d)
        scores = self._spotter.score(list(queries), tokens)[[queries[q] for q, _ in asked], photo]
        told = [number for number, (_, wish) in enumerate(asked) if wish]
        if told:
            couples = [(wishes[asked[number][1]], photo[number]) for number in told]
            scores[told] += self._wished(list(wishes), tokens, couples)
        return scores

    def _wished(
        self, wishes: list[str], tokens: Floats, couples: Sequence[tuple[int, int]]
    ) -> Scores:
        """Score instructions with photos, where they make a couple. Shape (couples,)."""
        device = self._encoder.device
        words = self._network.words(*self._reader.read([], wishes))
        once = list(dict.fromkeys(couples))  # each is looked at once
        text, photo = torch.tensor(once).T.to(device)
        looked = self._looked(words, tokens, text, photo)  # (once,), times the sign
        signed = words.sign[text].double().cpu().numpy()
        spotted = self._spotter.spotted(wishes, tokens)[tuple(zip(*once, strict=True))]
        table = dict(zip(once, signed * spotted + self._share * looked, strict=True))
        return np.array([table[couple] for couple in couples])

    def _looked(self, words: Words, tokens: Floats, text: Tensor, photo: Tensor) -> Scores:
        """Let the network score couples, in portions, if it counts. Shape (couples,)."""
        if not self._share:
            return np.zeros(len(text))
        sights = self._network.sights(torch.from_numpy(tokens).to(text.device))
        portions = zip(torch.split(text, COUPLES), torch.split(photo, COUPLES), strict=True)
        parts = [self._network.score(words, sights, *portion) for portion in portions]
        scores: Scores = torch.cat(parts).double().cpu().numpy()
        return scores


def _places(keys: Iterable[Key]) -> dict[Key, int]:
    """Number things in the order in which they come first."""
    return {key: number for number, key in enumerate(dict.fromkeys(keys))}


def load_token_reranker(folder: Path, encoder: Encoder, name: str) -> TokenReranker:
    """Load a reranker that `twinlens train-reranker` wrote.

    Raises:
        ModelUnavailable: it is missing or damaged, or reads with another encoder.
    """
    if not isinstance(encoder, TowerEncoder):
        raise ModelUnavailable(f"the reranker {name!r} does not read with {encoder.name!r}")
    return TokenReranker(load_reranker_checkpoint(folder), encoder, name)
