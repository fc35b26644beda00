"""The search line: query -> encode -> candidates -> records -> hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.encoder import Encoder, Vectors
from indexer.errors import FileUnreadable
from indexer.library import Library
from indexer.photos import read_photo
from indexer.types import Candidate, Kind, Record
from retrieval.errors import QueryInvalid
from retrieval.search.query import Query, parse_query


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer. `rank` counts from 1; `score` is the cosine, higher is better.

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

    Raises:
        ModelMismatch: the encoder is another model than the library's.
    """

    def __init__(self, library: Library, encoder: Encoder) -> None:
        library.check_model(encoder)
        self._library = library
        self._encoder = encoder

    def search(
        self, query: str | Path | Query, *, kind: Kind = Kind.PHOTO, top: int = 10
    ) -> list[Hit]:
        """Return the best `top` photos (or texts) for words or a photo, best first.

        Raises:
            QueryInvalid: the query is empty, or its file cannot be read.
        """
        asked = query if isinstance(query, Query) else parse_query(query)
        vector = self._encode(asked)  # (1, dim)
        (candidates,) = self._library.search(vector, kind, top)
        records = self._library.records([candidate.id for candidate in candidates])
        return _hits(candidates, records)

    def _encode(self, query: Query) -> Vectors:
        """Embed the query with the tower of its kind. Shape (1, dim)."""
        if query.kind == Kind.TEXT or query.path is None:
            return self._encoder.encode_texts([query.text])
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
