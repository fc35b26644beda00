"""How libraries are, as the API shows it."""

from __future__ import annotations

from datetime import UTC, datetime

from indexer.core.errors import TwinlensError
from indexer.core.types import readable
from indexer.library.progress_note import RunProgress
from retrieval.api import LibraryCounts
from retrieval.server.libraries import ServedLibrary
from retrieval.server.schemas import IndexingModel, LibraryModel


def described(served: ServedLibrary) -> LibraryModel:
    """Look at a library, and return how it is; for threads."""
    status = served.status()
    counts = status.counts or LibraryCounts()
    return LibraryModel(
        name=served.name,
        state=status.state,
        message=readable(status.message),
        photos=counts.photos,
        videos=counts.videos,
        texts=counts.texts,
        model=status.model,
        generation=counts.generation,
        indexing=_indexing(served) if status.counts is not None else None,
    )


def _indexing(served: ServedLibrary) -> IndexingModel | None:
    """Return how far the run is that writes to a library."""
    try:
        progress = served.work(lambda library: library.indexing())
    except TwinlensError:
        return None
    return None if progress is None else indexing_model(progress)


def indexing_model(progress: RunProgress) -> IndexingModel:
    """Return the progress of an index run as the API shows it."""
    return IndexingModel(
        pid=progress.pid,
        since=datetime.fromtimestamp(progress.since, UTC),
        met=progress.met,
        files=progress.files,
        photos=progress.photos,
        texts=progress.texts,
        skipped=progress.skipped,
        rate=round(progress.rate, 1),
    )
