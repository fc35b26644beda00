"""The search line: query -> encode -> candidates -> records -> second look -> top k."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from indexer.encoder import Encoder, Vectors
from indexer.errors import FileUnreadable
from indexer.library import Library
from indexer.photos import read_photo
from indexer.types import Kind
from retrieval.choices import ENSEMBLE
from retrieval.errors import QueryInvalid
from retrieval.names import reader_of
from retrieval.reranking import Reranker
from retrieval.search import prompts
from retrieval.search.hit import Hit, hits_of
from retrieval.search.query import Query, parse_query
from retrieval.search.second_look import POOL, Note, SecondLook


class Searcher:
    """Finds photos and texts of one library with the model that the library was built with.

    It reads the names that the library has learned by now (`learn_concept`).

    Args:
        library: to search in.
        encoder: the model.
        reranker: rescores the first candidates; None for the first stage alone.
        note: receives lines for the person who searches.

    Raises:
        ModelMismatch: the encoder is another model than the library's.
    """

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        reranker: Reranker | None = None,
        note: Note = lambda _: None,
    ) -> None:
        library.check_model(encoder)
        self._library = library
        self._reader = reader_of(library, encoder)
        self._encoder = self._reader.encoder
        self._second = (
            SecondLook(library=library, reranker=reranker, size_hint=encoder.image_size, note=note)
            if reranker
            else None
        )

    def search(
        self,
        query: str | Path | Query,
        *,
        kind: Kind = Kind.PHOTO,
        top: int = 10,
        hubness: bool = True,
        ensemble: bool = ENSEMBLE,
        instruct: str = "",
    ) -> list[Hit]:
        """Return the best `top` photos (or texts) for words or a photo, best first.

        Args:
            query: words, a file, or what `parse_query` made of them.
            kind: what to find.
            top: how many.
            hubness: hold back what is near to every query, where words look for photos or a
                photo for texts; see `indexer.hubness`. Else a score is the plain cosine.
            ensemble: ask for photos of a bare name by several sentences about it.
            instruct: what the answers shall be like, in words ("no people"), for the reranker.

        Raises:
            QueryInvalid: the query is empty, or its file cannot be read.
        """
        asked = query if isinstance(query, Query) else parse_query(query)
        named = ensemble and kind == Kind.PHOTO and prompts.is_name(asked.text)
        vector = self._encode(asked, named=named)  # (1, dim)
        alpha = self._encoder.hubness.alpha(query=asked.kind, item=kind) if hubness else 0.0
        second = self._second_look(asked, kind, instruct)
        depth = max(top, POOL) if second else top
        (candidates,) = self._library.search(vector, kind, depth, alpha=alpha)
        records = self._library.records([candidate.id for candidate in candidates])
        hits = hits_of(candidates, records)
        return second.rescored(asked, hits, kind, instruct)[:top] if second else hits

    def hint(self, query: Query) -> str:
        """Say why a learned name in a query is read as a plain word; empty as a rule."""
        return self._reader.hint(query.text)

    def _second_look(self, query: Query, kind: Kind, instruct: str) -> SecondLook | None:
        """Return the second stage where it takes part; it cannot read learned names."""
        second = self._second
        if second is None or self._reader.reads_name(query.text):
            return None
        return second if second.sees(query, kind, instruct) else None

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
