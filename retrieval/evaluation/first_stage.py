"""The first stage in an evaluation: vectors whose inner products are the scores of a search."""

from __future__ import annotations

from dataclasses import dataclass, replace

from indexer.calibration.hubness import with_alpha, with_hubness
from indexer.core.encoder import Encoder, Vectors
from indexer.core.types import Hubness, Kind


@dataclass(frozen=True, kw_only=True)
class FirstStage:
    """Turn an encoder's cosines into scores, corrected for hubness by its reference set or not.

    Attributes:
        hubness: the settings that take part; both alphas are 0 where none do.
        captions: reference vectors of generic texts, shape (n, dim).
        photos: reference vectors of generic photos, shape (n, dim).
    """

    hubness: Hubness
    captions: Vectors
    photos: Vectors

    @classmethod
    def of(cls, encoder: Encoder) -> FirstStage:
        """Return the correction that search makes with an encoder."""
        captions, photos, wanted = (
            encoder.bank(Kind.TEXT),
            encoder.bank(Kind.PHOTO),
            encoder.hubness,
        )
        used = replace(
            wanted,
            text_to_image=wanted.text_to_image if len(captions) else 0.0,
            image_to_text=wanted.image_to_text if len(photos) else 0.0,
        )
        return cls(hubness=used, captions=captions, photos=photos)

    @property
    def corrects(self) -> bool:
        """Return whether any direction is corrected."""
        return bool(self.hubness.text_to_image or self.hubness.image_to_text)

    def vectors(self, queries: Vectors, items: Vectors, *, query: Kind) -> tuple[Vectors, Vectors]:
        """Return queries and items of the other kind, one dimension longer if corrected.

        Args:
            queries: shape (q, dim).
            items: shape (n, dim).
            query: what the queries are.
        """
        text = query == Kind.TEXT
        alpha = self.hubness.text_to_image if text else self.hubness.image_to_text
        if not alpha:
            return queries, items
        bank = self.captions if text else self.photos
        return with_alpha(queries, alpha), with_hubness(items, bank, self.hubness.k)
