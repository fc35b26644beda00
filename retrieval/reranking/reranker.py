"""The reranker that ships: a network over the tokens of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from indexer.encoder import Encoder, TokenShape
from retrieval.errors import ModelUnavailable
from retrieval.models.encoder import TowerEncoder
from retrieval.reranking.fusion import Scores
from retrieval.reranking.network import Sights, Words
from retrieval.reranking.protocol import Asked, Sight
from retrieval.reranking.reading import TextReader
from retrieval.reranking.store import Checkpoint, load_reranker_checkpoint

COUPLES = 256  # scored at once: 50 MB of activations


class TokenReranker:
    """Rescores with a network over the tokens of a built-in dual encoder.

    Args:
        checkpoint: the network, and the encoder it was trained with.
        encoder: that encoder.
        name: what a person calls it.

    Raises:
        ModelUnavailable: the encoder is another one.
    """

    def __init__(self, checkpoint: Checkpoint, encoder: TowerEncoder, name: str) -> None:
        if checkpoint.encoder != encoder.fingerprint:
            raise ModelUnavailable(
                f"the reranker {name!r} reads with the model {checkpoint.encoder[:12]}, not with "
                f"{encoder.name!r} ({encoder.fingerprint[:12]}); train one for it with "
                "`twinlens train-reranker`, or search with --no-rerank"
            )
        self.name, self.fusion = name, checkpoint.fusion
        self._network = checkpoint.network.to(encoder.device)
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
        """Score couples of texts and photos. Shape (couples,)."""
        if not asked:
            return np.zeros(0)
        queries, instructions = (list(dict.fromkeys(side)) for side in zip(*asked, strict=True))
        instructions = [text for text in instructions if text]
        place = {text: number for number, text in enumerate(queries)}
        after = {text: len(queries) + number for number, text in enumerate(instructions)}
        photos = {id(sight): sight for sight in sights}
        seat = {key: number for number, key in enumerate(photos)}
        tokens = np.stack([np.asarray(sight, dtype=np.float32) for sight in photos.values()])
        seen = self._network.sights(torch.from_numpy(tokens).to(self._encoder.device))
        words = self._network.words(*self._reader.read(queries, instructions))
        of_photo = [seat[id(sight)] for sight in sights]
        plain = [(place[query], photo) for (query, _), photo in zip(asked, of_photo, strict=True)]
        told = [
            (after[text], photo) if text else None
            for (_, text), photo in zip(asked, of_photo, strict=True)
        ]
        couples = list(dict.fromkeys([*plain, *filter(None, told)]))  # each is looked at once
        scores = self._scored(words, seen, *map(list, zip(*couples, strict=True)))
        of_couple = dict(zip(couples, scores.tolist(), strict=True))
        return np.array(
            [
                of_couple[query] + (of_couple[wish] if wish else 0.0)
                for query, wish in zip(plain, told, strict=True)
            ]
        )

    def _scored(
        self, words: Words, sights: Sights, text: Sequence[int], photo: Sequence[int]
    ) -> Scores:
        """Score couples in portions. Shape (couples,)."""
        device = self._encoder.device
        portions = zip(
            torch.split(torch.tensor(text), COUPLES),
            torch.split(torch.tensor(photo), COUPLES),
            strict=True,
        )
        parts = [
            self._network.score(words, sights, some.to(device), others.to(device))
            for some, others in portions
        ]
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
