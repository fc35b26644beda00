"""The whole search of a library: a request becomes a page of calibrated hits.

The command line and `retrieval.PhotoLibrary` both call `search_library`.
"""

from __future__ import annotations

from dataclasses import replace

from indexer.library.library import Library
from retrieval.search.rerank_stage import Note
from retrieval.search.results import SearchResults
from retrieval.search.search_models import SearchModels
from retrieval.search.search_request import SearchRequest
from retrieval.search.searcher import Searcher
from retrieval.search.stage_times import StageTimes
from retrieval.search.wording import verdict


def search_library(
    library: Library, models: SearchModels, request: SearchRequest, note: Note = lambda _: None
) -> SearchResults:
    """Search a library, and say what a person should know about the hits.

    Args:
        library: to search in.
        models: from which the encoder and the reranker come.
        request: what is asked.
        note: receives the lines of `SearchResults.notes` as they come up, before slow steps.

    Raises:
        QueryInvalid: the query's photo cannot be read, or the page is none.
        RerankerMissing: an instruction, or a reranker was asked for, where there is none.
        ModelMismatch: the model that was asked for is not the library's.
    """
    query, notes = request.query, _Notes(note)
    for line in (*query.notes, query.hint):
        notes.add(line)
    if not library.counts()[request.kind]:
        notes.add(f"the library has no {request.kind}s; add some with: twinlens index FOLDER")
        return SearchResults(hits=[], found=False, notes=notes.lines)
    times = StageTimes()
    with times.of("models"):
        encoder, reranker = models.needed(request)
    searcher = Searcher(library, encoder, reranker, notes.add)
    notes.add(searcher.hint(query))
    results = searcher.answer(
        query,
        kind=request.kind,
        page=request.page,
        least=request.threshold,
        frames=request.frames,
        hubness=request.scoring.hubness,
        ensemble=request.scoring.ensemble,
        words=request.scoring.words,
        instruct=request.reranking.instruct,
    )
    doubts = (searcher.unread(query), searcher.doubt(query, request.kind))
    return replace(
        results,
        by_date=request.by_date,
        message=verdict(results, request),
        notes=notes.lines,
        doubts=tuple(filter(None, doubts)),
        took_ms={**times.milliseconds, **results.took_ms},
    )


class _Notes:
    """Keeps the lines that a search says, and passes each on at once."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self.lines: tuple[str, ...] = ()

    def add(self, line: str) -> None:
        """Keep and pass on a line, if it says anything."""
        if line:
            self.lines += (line,)
            self._note(line)
