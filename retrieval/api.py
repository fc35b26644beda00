"""The library of photos as one Python object: what the command line does, with the same answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from indexer.core.errors import FileUnreadable, LibraryMissing
from indexer.core.types import Kind, LibraryInfo
from indexer.decoding.render import read_data
from indexer.duplicates.finder import DuplicateGroup, find_duplicates
from indexer.duplicates.similarity import ALIKE
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.index_report import IndexProgress, IndexReport
from indexer.ingest.pipeline import index_folders
from indexer.ingest.reindex import ReindexReport, reindex
from indexer.library.library import Library
from indexer.library.lock import LockTimeout
from indexer.library.tuning_report import SearchSetting, tune
from indexer.library.verify import Finding
from retrieval._enums import SortOrder
from retrieval.concepts import Concept, Concepts, LearnedConcept, LearnOptions, learn_concept
from retrieval.errors import QueryInvalid
from retrieval.filters import Where, expression, narrowed
from retrieval.runtime.model_choice import BUILTIN, ModelChoice
from retrieval.search.export import ExportMode, ExportReport, export_hits
from retrieval.search.hit import Hit
from retrieval.search.library_search import search_library
from retrieval.search.page import Page
from retrieval.search.query import Query, parse_query
from retrieval.search.results import SearchResults
from retrieval.search.search_models import SearchModels
from retrieval.search.search_request import RerankChoice, Scoring, SearchRequest
from retrieval.upkeep import RepairReport, check, repair

QUERY_PIXELS = 1024
"""A photo that a query brings as bytes is decoded at least so large; models read less."""

PathLike = str | os.PathLike[str]
Picture = PathLike | bytes | Image.Image | NDArray[Any]
"""A photo to search with: its path, the bytes of its file, a picture, or an array of its pixels."""

TARGETS = {"photos": Kind.PHOTO, "texts": Kind.TEXT}


class PhotoLibrary:
    """A library of photos and texts: fill it with `index`, ask it with `search`.

    Make one with `open`, and close it, or use it as a context manager. Models are loaded when they
    are first needed, and stay. Any number of processes may search one folder; one at a time writes.

    Attributes:
        path: the folder of the library.
    """

    def __init__(
        self, library: Library, choice: ModelChoice, timeout: LockTimeout | None = None
    ) -> None:
        self.path = library.folder
        self._choice, self._timeout = choice, timeout or LockTimeout()
        self._use(library)

    @classmethod
    def open(
        cls,
        path: PathLike,
        model: str | None = None,
        *,
        device: str = "auto",
        create: bool = True,
        timeout: LockTimeout | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> PhotoLibrary:
        """Open a library; make an empty one where there is none.

        Args:
            path: the folder of the library.
            model: its spec, as `retrieval.load_encoder` takes it. Without one it is the library's
                own, and the built-in one for a new library.
            device: auto, cpu, cuda or mps.
            create: make a library where there is none.
            timeout: how long to wait for another process that writes; not at all unless said.
            note: receives a line where loading a model takes a while or something goes wrong.

        Raises:
            LibraryMissing: there is none, and `create` is false.
            LibraryDamaged: it is broken, or was written by a newer version.
            ModelMismatch: it was made with another model than the one that is named.
            ModelUnavailable: no such model, or its files are not here.
        """
        folder, choice = Path(path).expanduser(), ModelChoice(spec=model, device=device, note=note)
        try:
            library = Library.open(folder)
        except LibraryMissing:
            if not create:
                raise
            library = Library.open_or_create(folder, choice.quick(BUILTIN))
        opened = cls(library, choice, timeout)
        if model is not None:
            opened._check_model()
        return opened

    def close(self) -> None:
        """Let go of the files."""
        self._library.close()

    def __enter__(self) -> PhotoLibrary:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Search

    def search(  # noqa: PLR0913 - a choice each
        self,
        text: str | None = None,
        *,
        image: Picture | None = None,
        k: int = 10,
        offset: int = 0,
        where: Where | None = None,
        instruct: str = "",
        target: str | Kind = "photos",
        sort: str | SortOrder = SortOrder.SCORE,
        threshold: float | None = None,
        rerank: bool | str | None = None,
        frames: bool = False,
        scoring: Scoring = Scoring(),  # noqa: B008 - frozen
    ) -> SearchResults:
        """Return the photos or texts that words, a photo, or both ask for, best first.

        Without words and photo, all that `where` lets through is found, newest first. Where nothing
        matches, there are no hits, and `SearchResults.nearest` is what came nearest.

        Args:
            text: words in the grammar of the command line: "beach + sunset - people",
                "a dog after:2019". It may name a file, as there.
            image: a photo; with `text` beside it, both are asked for at once.
            k: how many hits; 0 for all.
            offset: how many of the best to pass over; see `SearchResults.next`.
            where: filters beside those in the words; see `retrieval.filters`.
            instruct: what the hits shall be like, in words: "no people".
            target: "photos" or "texts".
            sort: "score", or "date": the same hits, the newest first.
            threshold: the least probability of a match, from 0 to 1; 0 for every hit. None returns
                as many as are asked for, if anything matches.
            rerank: whether the first hits are reranked; or the name of the reranker. None reranks
                where the one that ships gains.
            frames: return each frame of a video that matches, not the best one alone.
            scoring: how the first stage scores.

        Raises:
            QueryInvalid: nothing is asked for, or it cannot be understood or read.
            RerankerMissing: an instruction, or a reranker was asked for, where there is none.
            ModelMismatch: the library was made with another model than the one that was named.
            ModelUnavailable: a model cannot be loaded.
        """
        request = SearchRequest(
            query=_query(text, image, where),
            kind=_one_of(target, TARGETS, "target"),
            page=Page(top=k, offset=offset, sort=_sort(sort)),
            threshold=threshold,
            frames=frames,
            scoring=scoring,
            reranking=_reranking(rerank, instruct),
        )
        return search_library(self._library, self._models, request)

    def similar(self, photo: Hit | Picture, **how: Any) -> SearchResults:
        """Return photos like one, or like a hit; it takes what `search` takes beside the query."""
        return self.search(image=photo.path if isinstance(photo, Hit) else photo, **how)

    def export(
        self, hits: Sequence[Hit], folder: PathLike, mode: str | ExportMode = ExportMode.COPY
    ) -> ExportReport:
        """Copy, link or list the files of hits in a folder, with a manifest beside them.

        Raises:
            TwinlensError: the folder cannot be written to.
        """
        return export_hits(hits, _path(folder), ExportMode(mode))

    def duplicates(
        self, *folders: PathLike, alike: float = ALIKE, progress: Progress | None = None
    ) -> list[DuplicateGroup]:
        """Return groups of photos that are there more than once, in all or below some folders."""
        report = progress or (lambda _done, _total: None)
        return find_duplicates(
            self._library, [_path(each) for each in folders], alike=alike, progress=report
        )

    def info(self) -> LibraryInfo:
        """Say what the library holds."""
        return self._library.info()

    # Change

    def index(
        self,
        *folders: PathLike,
        options: IndexOptions | None = None,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> IndexReport:
        """Make the library hold what folders hold: new and changed files come, deleted ones go.

        Raises:
            UsageError: a folder does not exist.
            LibraryLocked: another process is writing.
            ModelMismatch: the library was made with another model than the one that was named.
        """
        encoder, roots = self._models.quick(), [_path(each) for each in folders]
        with self._library.writing(self._timeout):
            return index_folders(self._library, encoder, roots, options=options, progress=progress)

    def forget(self, folder: PathLike) -> int:
        """Drop all that lies below a folder, or one file; return how many files were dropped."""
        with self._library.writing(self._timeout):
            return self._library.forget(Path(folder).expanduser())

    def move_root(self, old: PathLike, new: PathLike) -> list[Path]:
        """Know what lay below one folder by its path below another; return the new paths."""
        with self._library.writing(self._timeout):
            return self._library.move_root(Path(old).expanduser(), Path(new).expanduser())

    def reindex(
        self,
        model: str = BUILTIN,
        *,
        options: IndexOptions | None = None,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> ReindexReport:
        """Embed the whole library anew with another model, and use that from then on.

        Raises:
            UsageError: it holds nothing, or files of it are out of reach.
            LibraryLocked: another process is writing.
        """
        choice = replace(self._choice, spec=model)
        done = reindex(
            self.path,
            choice.quick(),
            options=options,
            patience=self._timeout,
            progress=progress,
        )
        self._choice = choice
        self._reopen()
        return done

    def tune(
        self, recall: float | None = None, exact_up_to: int | None = None
    ) -> list[SearchSetting]:
        """Choose how surely and how fast the library is searched; return what each setting costs.

        Args:
            recall: share of the true ten nearest to find, in the mean; 1 for an exact index.
            exact_up_to: search so many photos exactly in any case.
        """
        aim = self._library.vectors.aim()
        aim = replace(
            aim,
            recall=aim.recall if recall is None else recall,
            exact_rows=aim.exact_rows if exact_up_to is None else exact_up_to,
        )
        return tune(self._library, aim, patience=self._timeout)

    # Names

    def learn(
        self,
        name: str,
        *photos: PathLike,
        like: str = "",
        seed: int = 0,
        progress: Progress | None = None,
    ) -> LearnedConcept:
        """Learn a name from about five photos, files or folders; queries may then hold it.

        Args:
            name: one word, or several.
            photos: of what is called so.
            like: plain word for what they show; without one, the word that fits them.
            seed: the same one learns the same.
            progress: called with the steps done and the steps in all.

        Raises:
            ConceptInvalid: the name is no word, or no photo can be read.
        """
        options, paths = LearnOptions(like=like, seed=seed), [Path(each) for each in photos]
        encoder = self._models.quick()
        return learn_concept(self._library, encoder, name, paths, options, progress)

    def names(self) -> list[Concept]:
        """Return the names that were learned and can be read."""
        return Concepts(self.path).read()[0]

    def forget_name(self, name: str) -> None:
        """Forget a name.

        Raises:
            ConceptInvalid: it was never learned.
        """
        Concepts(self.path).forget(name)

    # Upkeep

    def check(self) -> list[Finding]:
        """Look at every file of the library, and return what is wrong."""
        return check(self.path)

    def repair(self) -> RepairReport:
        """Mend what can be mended; photos themselves are never touched.

        Raises:
            LibraryDamaged: the catalog is beyond mending.
            LibraryLocked: another process is writing.
        """
        self._library.close()
        try:
            return repair(self.path, patience=self._timeout)
        finally:
            self._reopen()

    def _check_model(self) -> None:
        """Refuse a library of another model than the one that was named."""
        try:
            self._library.check_model(self._models.quick())
        except BaseException:
            self.close()
            raise

    def _reopen(self) -> None:
        """Open the folder anew: another library may lie there now."""
        self._library.close()
        self._use(Library.open(self.path))

    def _use(self, library: Library) -> None:
        """Search in an open library, with models that are not loaded yet."""
        self._library = library
        self._models = SearchModels(self._choice, library.model, library.fingerprint)


Progress = Callable[[int, int], None]
"""Called with what is done and what is to do."""


def _path(path: PathLike) -> Path:
    """Return a path as the library keeps it."""
    return Path(path).expanduser().resolve()


def _query(text: str | None, image: Picture | None, where: Where | None) -> Query:
    """Make a query of what is asked for.

    Raises:
        QueryInvalid: nothing is asked for, or it cannot be understood.
    """
    pieces = ([] if image is None else [_opened(image)]) + ([text] if text else [])
    if where is None:
        return parse_query(*pieces)
    query = parse_query(*pieces) if pieces else Query(kind=Kind.TEXT)
    return narrowed(query, expression(where))


def _opened(image: Picture) -> Any:
    """Return a photo as a query takes it.

    Raises:
        QueryInvalid: the bytes are no picture.
    """
    if isinstance(image, str | os.PathLike):
        return Path(image).expanduser()
    if not isinstance(image, bytes):
        return image
    try:
        return read_data(image, size_hint=QUERY_PIXELS)
    except FileUnreadable as error:
        raise QueryInvalid(f"the bytes of the photo are no picture: {error}") from error


def _one_of(value: str | Kind, known: dict[str, Kind], name: str) -> Kind:
    """Return the kind that a word stands for."""
    if isinstance(value, Kind):
        return value
    if value not in known:
        raise QueryInvalid(f"{name} is one of {', '.join(known)}, not '{value}'")
    return known[value]


def _sort(order: str | SortOrder) -> SortOrder:
    """Return the order that a word stands for."""
    try:
        return SortOrder(order)
    except ValueError as error:
        raise QueryInvalid(f"sort is one of {', '.join(SortOrder)}, not '{order}'") from error


def _reranking(rerank: bool | str | None, instruct: str) -> RerankChoice:
    """Say whether hits are reranked, and by which reranker."""
    if isinstance(rerank, str):
        return RerankChoice(spec=rerank, instruct=instruct)
    return RerankChoice(wanted=rerank, instruct=instruct)
