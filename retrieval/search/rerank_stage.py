"""The rerank stage: the first candidates, scored again by a model that reads photo and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from indexer.core.errors import FileUnreadable, TwinlensError
from indexer.core.types import Kind, Record, spot
from indexer.decoding.render import read_picture
from indexer.library.library import Library
from indexer.media.image import seen
from retrieval.errors import QueryInvalid
from retrieval.models.tokenizer import behind
from retrieval.reranking import ImageFeatures, QueryInstruction, Reranker, Scores, combine_scores
from retrieval.search.query import Query
from retrieval.search.results import Hit
from retrieval.search.spell_hints import shortened

MOST = 200
"""Candidates that are rescored at most; what lies behind them follows as the first stage had it."""

Note = Callable[[str], None]
"""Called with a line for the person who searches."""


def _all_english(_: str) -> bool:
    """Take every text for English."""
    return False


@dataclass(frozen=True, kw_only=True)
class RerankStage:
    """Reranks the hits of one library.

    Attributes:
        library: where the photos' patch tokens are kept.
        reranker: the model.
        size_hint: pixels per side that it reads; a decoder may stop at twice that.
        note: receives the names of photos that cannot be read, and what is truncated.
        foreign: tells texts in other languages than English: a reranker that reads patch tokens
            knows English words alone.
    """

    library: Library
    reranker: Reranker
    size_hint: int
    note: Note
    foreign: Callable[[str], bool] = _all_english

    def applies(self, query: Query, kind: Kind, instruction: str) -> bool:
        """Return whether the rerank stage changes anything in this direction of search.

        It reads words or a photo, not both in one query.
        """
        photos = any(term.query.kind == Kind.PHOTO for term in query.terms)
        if query.is_filter or query.only_takes_away or photos:
            return False
        fusion = self.reranker.fusion
        steered = bool(instruction) and fusion.instructed > 0
        words = query.kind == Kind.PHOTO or self._reads(query.words)
        weight = fusion.weight(query=query.kind, item=kind) if words else 0.0
        return query.kind != kind and (steered or weight > 0)

    def _reads(self, text: str) -> bool:
        """Return whether the reranker knows the language of a text."""
        return self.reranker.token_shape is None or not self.foreign(text)

    def rescored(
        self, query: Query, hits: Sequence[Hit], kind: Kind, instruction: str = ""
    ) -> list[Hit]:
        """Return the hits in the fused order of first stage and reranker, best first.

        A photo that cannot be read keeps its first-stage score, and is reported.

        Raises:
            QueryInvalid: the photo of the query cannot be read.
        """
        hits, rest = hits[:MOST], hits[MOST:]
        if not hits:
            return []
        features = self._features(query, hits)
        texts = [query.words if kind == Kind.PHOTO else hit.text for hit in hits]
        known = {text: self._reads(text) for text in set(texts)}
        read = [known[text] for text in texts]
        texts = [text if reads else "" for text, reads in zip(texts, read, strict=True)]
        wishes = ["", instruction] if instruction else [""]
        queries = [(text, wish) for wish in wishes for text in texts]
        scores = self._scores(queries, features * len(wishes)).reshape(len(wishes), len(texts))
        first = np.array([hit.score for hit in hits])
        fusion = self.reranker.fusion
        words = np.where(read, scores[0], np.nan)
        plain = combine_scores(first, words, fusion.weight(query=query.kind, item=kind))
        total, obeys = plain, np.full(len(hits), np.nan)
        if instruction:
            change = scores[1] - scores[0]
            total, obeys = combine_scores(plain, change, fusion.instructed), fusion.obeys(change)
            if self.reranker.cuts(instruction):
                end = shortened(behind(instruction, self.reranker.cuts))
                cut = "the instruction is too long for the reranker; its end is left out"
                self.note(f"{cut}: '{end}'")
        order = np.argsort(-total, kind="stable")
        ordered = [
            replace(
                hits[place],
                score=float(total[place]),
                plain=float(plain[place]),
                obeys=None if np.isnan(obeys[place]) else float(obeys[place]),
            )
            for place in order
        ]
        return [replace(hit, rank=rank) for rank, hit in enumerate([*ordered, *rest], start=1)]

    def _scores(
        self, queries: Sequence[QueryInstruction], features: Sequence[ImageFeatures | None]
    ) -> Scores:
        """Score what can be seen; NaN for the rest. Shape (hits,)."""
        scores = np.full(len(queries), np.nan)
        seen = [(place, sight) for place, sight in enumerate(features) if sight is not None]
        if seen:
            places = [place for place, _ in seen]
            found = self.reranker.score([queries[n] for n in places], [sight for _, sight in seen])
            scores[places] = found
        return scores

    def _features(self, query: Query, hits: Sequence[Hit]) -> list[ImageFeatures | None]:
        """Return the photo of each pair as the reranker reads it: the query's, or each hit's."""
        if query.kind != Kind.PHOTO:
            return self._of_hits(hits)
        if query.item is not None:
            (stored,) = self._of_hits(self.library.records([query.item])) or [None]
            return [stored] * len(hits)
        (sight,) = self.reranker.look([photo_of(query, size_hint=self.size_hint)])
        return [sight] * len(hits)

    def _of_hits(self, hits: Sequence[Hit | Record]) -> list[ImageFeatures | None]:
        """Return kept tokens; read the photos that have none, and keep theirs for the next time."""
        shape = self.reranker.token_shape
        ids = [hit.id for hit in hits]
        kept = self.library.patch_tokens.read(ids, shape) if shape else [None] * len(ids)
        features: list[ImageFeatures | None] = list(kept)
        missing = [place for place, sight in enumerate(features) if sight is None]
        fresh = self._read([hits[place] for place in missing])
        for place, sight in zip(missing, fresh, strict=True):
            features[place] = sight
        if shape is not None:
            self._keep({ids[place]: features[place] for place in missing})
        return features

    def _read(self, hits: Sequence[Hit | Record]) -> list[ImageFeatures | None]:
        """Read photos from their files; count those that cannot be read, and name the first."""
        photos: list[Image.Image | None] = []
        failed: list[str] = []
        for hit in hits:
            try:
                photo = read_picture(hit.path, time=hit.time, size_hint=self.size_hint)
                photos.append(photo)
            except FileUnreadable as error:
                photos.append(None)
                failed.append(f"{spot(str(hit.path), hit.time)}: {error}")
        if failed:  # one line: of a drive that is unplugged, all are gone
            more = f", and {len(failed) - 1:,} more" if failed[1:] else ""
            self.note(f"not reranked: {failed[0]}{more}")
        readable = [photo for photo in photos if photo is not None]
        looked = iter(self.reranker.look(readable) if readable else ())  # else no tower is opened
        return [None if photo is None else next(looked) for photo in photos]

    def _keep(self, fresh: dict[int, ImageFeatures | None]) -> None:
        """Keep tokens that had to be computed, if nobody else is writing."""
        found = {item: sight for item, sight in fresh.items() if isinstance(sight, np.ndarray)}
        if not found:
            return
        try:
            self.library.keep_tokens(list(found), np.stack(list(found.values())))
        except TwinlensError:
            return  # a library that is busy, or closed to us: they are computed again next time


def photo_of(query: Query, *, size_hint: int) -> Image.Image:
    """Return the photo that a query asks with.

    Raises:
        QueryInvalid: it cannot be read.
    """
    try:
        if query.photo is not None:
            return seen(query.photo, size_hint=size_hint)
        assert query.path is not None
        return read_picture(query.path, size_hint=size_hint)
    except FileUnreadable as error:
        named = f"'{query.path}'" if query.path else "the picture"
        raise QueryInvalid(f"cannot search with {named}: {error}") from error
