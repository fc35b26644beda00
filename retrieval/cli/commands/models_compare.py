"""Two models on the same few photos, for `twinlens models test`."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import retrieval
from indexer.core.errors import UsageError
from indexer.core.types import Kind
from indexer.ingest.walker import FoundFile, WalkOptions, walk
from retrieval.cli.console import counted, list_new_skips, note
from retrieval.cli.progress import phase, progress
from retrieval.models.model_catalog import spec_of
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from retrieval import Hit

QUERIES = ("people laughing", "a dog", "food on a table", "a city at night", "water and sky")
"""What is asked where nothing is named."""

TOP = 6


def sample(roots: Sequence[Path], *, most: int, seed: int) -> list[Path]:
    """Return some photos below folders, the same ones for the same seed.

    Raises:
        UsageError: there is none.
    """
    found = walk(roots, options=WalkOptions())
    photos = sorted(
        file.path for file in found if isinstance(file, FoundFile) and file.kind == Kind.PHOTO
    )
    if not photos:
        raise UsageError(f"no photo below {', '.join(map(str, roots))}")
    return sorted(random.Random(seed).sample(photos, most)) if len(photos) > most else photos


def write_comparison(
    photos: Sequence[Path],
    queries: Sequence[str],
    *,
    models: tuple[str, str],
    html: Path | None,
) -> Path:
    """Ask two models the same queries, and write a contact sheet; return its path.

    Raises:
        UsageError: both models are the same one.
        ModelUnavailable: one of them is not here.
    """
    if spec_of(models[0]) == spec_of(models[1]):
        raise UsageError(
            f"the library is of the model {models[1]} already; name another one to compare it with"
        )
    asked = list(queries) or list(QUERIES)
    answers = [_answers(photos, asked, model) for model in models]
    rows = [
        retrieval.SheetRow(answers=hits, words=words, aside=f"with {model}", half=True)
        for words, *both in zip(asked, *answers, strict=True)
        for model, hits in zip(models, both, strict=True)
    ]
    page = html or Path(tempfile.mkdtemp(prefix="twinlens-models-")) / "models.html"
    retrieval.write_contact_sheet(
        rows,
        page,
        title=f"{models[0]} and {models[1]}",
        note=f"{counted(len(photos), 'photo')}; left {models[0]}, right {models[1]}",
    )
    return page.resolve()


def _answers(photos: Sequence[Path], queries: Sequence[str], model: str) -> list[list[Hit]]:
    """Index photos in a temporary place and search them; one list of hits a query."""
    encoder = ModelChoice(spec=model, note=note, phase=phase).quick()
    with (
        tempfile.TemporaryDirectory(prefix="twinlens-models-") as folder,
        retrieval.Library.open_or_create(Path(folder) / "library", encoder) as library,
    ):
        with progress(f"indexing with {model}") as report:
            done = retrieval.index_folders(
                library,
                encoder,
                photos,
                progress=lambda step: report(step.files, len(photos), step.photos),
            )
        list_new_skips(done.skipped, done.still)
        searcher = retrieval.Searcher(library, encoder)
        return [searcher.search(words, top=TOP) for words in queries]
