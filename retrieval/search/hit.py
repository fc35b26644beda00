"""One hit of a search."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexer.core.types import Candidate, Kind, Metadata, Record, spot
from indexer.library.thumbnail_cache import thumbnail_version
from retrieval._enums import HIT_FIELDS
from retrieval.search.match_probability import UNLIKELY, MatchCalibrator


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer. `rank` counts from 1; `score` orders the answers, higher is better.

    It is the cosine, less what the item's hubness costs, more where it shares words with the
    query, and moved by the reranker where one takes part; `Searcher.search` says where. `text` is
    the passage that was found, empty for a photo; `time` how many seconds into its video a frame is
    shown, None for what is no frame. `id` names it in the library; `about` is what a photo says
    about itself. `match` is how likely it is a match, from 0 to 1: that it shows what is asked for
    and obeys the instruction; None where the library cannot tell, see
    `ScoreNormalizer.moments`. `plain` is the score without the instruction; `obeys` how likely it
    obeys, None where there is none or nobody looked. `worded` tells whether it has
    all the words of the query, and telling ones. `digest` is a hash of the content of its file.
    """

    rank: int
    score: float
    kind: Kind
    path: Path
    text: str
    id: int
    about: Metadata = field(default_factory=Metadata)
    time: float | None = None
    match: float | None = None
    plain: float = 0.0
    obeys: float | None = None
    worded: bool = False
    digest: bytes = field(default=b"", compare=False, repr=False)

    @property
    def likely(self) -> bool:
        """Tell whether it is not marked as unlikely to be a match."""
        return self.match is None or self.match >= UNLIKELY

    @property
    def metadata(self) -> Metadata:
        """What the photo says about itself: `about`."""
        return self.about

    @property
    def version(self) -> str:
        """The version of its thumbnails, for `PhotoLibrary.thumbnail`; empty for a text."""
        return thumbnail_version(self.digest) if self.kind == Kind.PHOTO else ""

    @property
    def where(self) -> str:
        """The path, and the time in a video: "clip.mp4 @ 0:12"."""
        return spot(str(self.path), self.time)

    def as_json(self) -> dict[str, object]:
        """Return it as plain values: `HIT_FIELDS`, then what the photo says, where it says so."""
        values = {name: getattr(self, name) for name in HIT_FIELDS}
        match = None if self.match is None else round(self.match, 4)
        values |= {"score": round(self.score, 6), "match": match, "path": str(self.path)}
        return {**values, **_described(self)}


def _described(hit: Hit) -> dict[str, object]:
    """Return what a photo says about itself as plain values; what it does not say is left out."""
    about = hit.about
    told = {
        "unlikely": None if hit.likely else True,
        "date": about.taken.isoformat() if about.taken else None,
        "latitude": about.latitude,
        "longitude": about.longitude,
        "place": about.place,
        "camera": about.camera,
        "lens": about.lens,
        "rating": about.rating,
        "keywords": list(about.keywords),
        "title": about.title,
        "caption": about.caption,
        "also": [str(hit.path.with_name(name)) for name in about.also],
    }
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def hits_of(
    candidates: Sequence[Candidate], records: Sequence[Record], worded: Collection[int] = ()
) -> list[Hit]:
    """Join scores and records, best first; an item that was removed meanwhile has no record."""
    scores = {candidate.id: candidate.score for candidate in candidates}
    return [
        Hit(
            rank=rank,
            score=scores[record.id],
            plain=scores[record.id],
            kind=record.kind,
            path=record.path,
            text=record.text,
            id=record.id,
            about=record.about,
            time=record.time,
            worded=record.id in worded,
            digest=record.digest,
        )
        for rank, record in enumerate(records, start=1)
    ]


def with_match(hits: Sequence[Hit], matching: MatchCalibrator) -> list[Hit]:
    """Say how likely each hit is a match, by its score and by how likely it obeys.

    A hit that nobody looked at counts as one that obeys as often as the others do.
    """
    seen = [hit.obeys for hit in hits if hit.obeys is not None]
    usual = sum(seen) / len(seen) if seen else 1.0
    matches = matching.probabilities([hit.plain for hit in hits])
    return [
        replace(hit, match=float(match) * (usual if hit.obeys is None else hit.obeys))
        for hit, match in zip(hits, matches, strict=True)
    ]
