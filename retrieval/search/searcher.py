"""The search line: query -> encode -> candidates -> records -> hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from retrieval.search.asking import Asked, Unit, candidates, joined, mixed
from retrieval.search.matching import Matching
from retrieval.search.query import Query, parse_query


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer. `rank` counts from 1; `score` orders the answers, higher is better.

    It is the cosine, less what the item's hubness costs; `Searcher.search` says where.
    `text` is the passage that was found, empty for a photo; `id` names it in the library.
    `match` is how likely it is a match, from 0 to 1; None where the library cannot tell, see
    `Library.moments`.
    """

    rank: int
    score: float
    kind: Kind
    path: Path
    text: str
    id: int
    match: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How a search scores: see the arguments of `Searcher.search`."""

    kind: Kind
    hubness: bool
    ensemble: bool


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
            query: words, a file, terms with signs, or what `parse_query` made of them.
            kind: what to find.
            top: how many.
            hubness: hold back what is near to every query, where words look for photos or a
                photo for texts; see `indexer.hubness`. Else a score is the plain cosine.
            ensemble: ask for photos of a bare name by several sentences about it.

        Raises:
            QueryInvalid: the query is empty, or its file cannot be read.
        """
        asked = query if isinstance(query, Query) else parse_query(query)
        way = _Way(kind=kind, hubness=hubness, ensemble=ensemble)
        score = self._ask(asked, way)
        found = candidates(self._library, score, kind, top)
        records = self._library.records([candidate.id for candidate in found])
        return _hits(found, records, self._matching(score.unit, asked, kind))

    def hint(self, query: Query) -> str:
        """Say why a learned name in a query is read as a plain word; empty as a rule."""
        return self._reader.hint(query.text)

    def _ask(self, query: Query, way: _Way) -> Asked:
        """Turn a query, of one term or several, into what the items are scored by."""
        if query.terms:
            terms = joined(query.terms)
            plain = replace(way, hubness=False)
            asked = [self._ask(term.query, way if term.weight > 0 else plain) for term in terms]
            return mixed(asked, [term.weight for term in terms])
        named = way.ensemble and way.kind == Kind.PHOTO and prompts.is_name(query.text)
        alpha = self._encoder.hubness.alpha(query=query.kind, item=way.kind)
        alpha = alpha if way.hubness else 0.0
        unit = self._unit(query.kind, way.kind, alpha)
        return Asked(vector=self._encode(query, named=named), alpha=alpha, unit=unit)

    def _unit(self, query: Kind, item: Kind, alpha: float) -> Unit | None:
        """Say what unrelated items score in this direction, where the library can tell."""
        moments = self._library.moments(query, item)
        if moments is None or not moments.spread(alpha):
            return None
        return Unit(mean=moments.mean(alpha), spread=moments.spread(alpha))

    def _matching(self, unit: Unit | None, query: Query, kind: Kind) -> Matching | None:
        """Say how scores become probabilities, where there is a unit for them."""
        if unit is None:
            return None
        items = max(1, self._library.counts()[kind])
        return Matching(unit=unit, query=query.kind, item=kind, items=items)

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


def _hits(
    found: Sequence[Candidate], records: Sequence[Record], matching: Matching | None
) -> list[Hit]:
    """Join scores and records, best first; an item that left meanwhile has no record."""
    scores = {candidate.id: candidate.score for candidate in found}
    return [
        Hit(
            rank=rank,
            score=scores[record.id],
            kind=record.kind,
            path=record.path,
            text=record.text,
            id=record.id,
            match=matching.probability(scores[record.id]) if matching else None,
        )
        for rank, record in enumerate(records, start=1)
    ]
