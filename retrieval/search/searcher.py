"""The search line: query -> encode -> candidates (pre-filtered) -> words -> records -> hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from indexer.encoder import Encoder, Vectors
from indexer.errors import FileUnreadable
from indexer.filters import AllOf
from indexer.library import Library
from indexer.photos import read_photo
from indexer.types import Candidate, Kind, Metadata, Record
from retrieval.choices import ENSEMBLE, Sort
from retrieval.errors import QueryInvalid
from retrieval.names import reader_of
from retrieval.search import prompts
from retrieval.search.fusion import SHARED, fused
from retrieval.search.query import Query, parse_query


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer. `rank` counts from 1; `score` orders the answers, higher is better.

    It is the cosine, less what the item's hubness costs, and more where it shares words with the
    query; `Searcher.search` says where. `text` is the passage that was found, empty for a photo;
    `id` names it in the library; `about` is what a photo says about itself.
    """

    rank: int
    score: float
    kind: Kind
    path: Path
    text: str
    id: int
    about: Metadata = field(default_factory=Metadata)


class Searcher:
    """Finds photos and texts of one library with the model that the library was built with.

    It reads the names that the library has learned by now (`learn_concept`).

    Raises:
        ModelMismatch: the encoder is another model than the library's.
    """

    def __init__(self, library: Library, encoder: Encoder) -> None:
        library.check_model(encoder)
        self._library = library
        self._reader = reader_of(library, encoder)
        self._encoder = self._reader.encoder

    def search(  # noqa: PLR0913 - a choice each
        self,
        query: str | Path | Query,
        *,
        kind: Kind = Kind.PHOTO,
        top: int = 10,
        offset: int = 0,
        sort: Sort = Sort.SCORE,
        hubness: bool = True,
        ensemble: bool = ENSEMBLE,
        words: bool = True,
    ) -> list[Hit]:
        """Return the best `top` photos (or texts) for words or a photo, best first.

        Filters go first: `top` hits come back whenever so many items match. Without words and
        photo all that the filters let through is found, newest first.

        Args:
            query: words, a file, or what `parse_query` made of them.
            kind: what to find.
            top: how many; 0 for all.
            offset: how many of the best to pass over: the pages before.
            sort: by date, the same hits are shown newest first.
            hubness: hold back what is near to every query, where words look for photos or a
                photo for texts; see `indexer.hubness`. Else a score is the plain cosine.
            ensemble: ask for photos of a bare name by several sentences about it.
            words: put forward what shares words with the query; see `retrieval.search.fusion`.

        Raises:
            QueryInvalid: the query is empty, or its file cannot be read.
        """
        asked = query if isinstance(query, Query) else parse_query(query)
        depth = offset + top if top else self._library.counts()[kind]
        if asked.is_filter:
            candidates = self._newest(asked, kind, depth)
        else:
            named = ensemble and kind == Kind.PHOTO and prompts.is_name(asked.text)
            vector = self._encode(asked, named=named)  # (1, dim)
            alpha = self._encoder.hubness.alpha(query=asked.kind, item=kind) if hubness else 0.0
            (candidates,) = self._library.search(
                vector, kind, depth, alpha=alpha, where=asked.where
            )
            if words and asked.text:
                shared = self._library.catalog.worded(asked.text, kind, SHARED, where=asked.where)
                score = partial(self._library.score, vector, kind, alpha=alpha)
                candidates = fused(candidates, shared, score)[:depth]
        records = self._library.records([candidate.id for candidate in candidates[offset:]])
        hits = _hits(candidates, records, offset)
        return hits if sort == Sort.SCORE else _newest_first(hits, offset)

    def _newest(self, query: Query, kind: Kind, depth: int) -> list[Candidate]:
        """Return all that the filters of a query let through, newest first, without a score."""
        where = query.where or AllOf()
        return [
            Candidate(id=id_, score=0.0) for id_ in self._library.catalog.newest(kind, where, depth)
        ]

    def hint(self, query: Query) -> str:
        """Say why a learned name in a query is read as a plain word; empty as a rule."""
        return self._reader.hint(query.text)

    def _encode(self, query: Query, *, named: bool) -> Vectors:
        """Embed the query with the tower of its kind, a name by its sentences. Shape (1, dim)."""
        if query.kind == Kind.TEXT or query.path is None:
            encode = (
                partial(prompts.ensemble, self._encoder) if named else self._encoder.encode_texts
            )
            return encode([query.text])
        try:
            photo = read_photo(query.path, size_hint=self._encoder.image_size)
        except FileUnreadable as error:
            raise QueryInvalid(f"cannot search with '{query.path}': {error}") from error
        return self._encoder.encode_images([photo])


def _hits(candidates: Sequence[Candidate], records: Sequence[Record], offset: int) -> list[Hit]:
    """Join scores and records, best first; an item that left meanwhile has no record."""
    scores = {candidate.id: candidate.score for candidate in candidates}
    return [
        Hit(
            rank=rank,
            score=scores[record.id],
            kind=record.kind,
            path=record.path,
            text=record.text,
            id=record.id,
            about=record.about,
        )
        for rank, record in enumerate(records, start=offset + 1)
    ]


def _newest_first(hits: Sequence[Hit], offset: int) -> list[Hit]:
    """Order hits by date, those without one last, and count their ranks anew."""
    ordered = sorted(hits, key=lambda hit: hit.about.taken or datetime.min, reverse=True)
    return [replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=offset + 1)]
