"""The search line: query -> encode -> candidates -> records -> hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from indexer.encoder import Encoder, Vectors
from indexer.errors import FileUnreadable
from indexer.library import Library
from indexer.photos import read_photo
from indexer.types import Candidate, Kind, Record
from retrieval.choices import ENSEMBLE
from retrieval.errors import QueryInvalid
from retrieval.names import reader_of
from retrieval.search import prompts
from retrieval.search.query import Query, parse_query


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer. `rank` counts from 1; `score` orders the answers, higher is better.

    It is the cosine, less what the item's hubness costs; `Searcher.search` says where.
    `text` is the passage that was found, empty for a photo; `id` names it in the library.
    """

    rank: int
    score: float
    kind: Kind
    path: Path
    text: str
    id: int


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

    def search(
        self,
        query: str | Path | Query,
        *,
        kind: Kind = Kind.PHOTO,
        top: int = 10,
        hubness: bool = True,
        ensemble: bool = ENSEMBLE,
    ) -> list[Hit]:
        """Return the best `top` photos (or texts) for words or a photo, best first.

        Args:
            query: words, a file, or what `parse_query` made of them.
            kind: what to find.
            top: how many.
            hubness: hold back what is near to every query, where words look for photos or a
                photo for texts; see `indexer.hubness`. Else a score is the plain cosine.
            ensemble: ask for photos of a bare name by several sentences about it.

        Raises:
            QueryInvalid: the query is empty, or its file cannot be read.
        """
        asked = query if isinstance(query, Query) else parse_query(query)
        named = ensemble and kind == Kind.PHOTO and prompts.is_name(asked.text)
        vector = self._encode(asked, named=named)  # (1, dim)
        alpha = self._encoder.hubness.alpha(query=asked.kind, item=kind) if hubness else 0.0
        (candidates,) = self._library.search(vector, kind, top, alpha=alpha)
        records = self._library.records([candidate.id for candidate in candidates])
        return _hits(candidates, records)

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


def _hits(candidates: Sequence[Candidate], records: Sequence[Record]) -> list[Hit]:
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
        )
        for rank, record in enumerate(records, start=1)
    ]
