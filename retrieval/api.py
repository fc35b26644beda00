"""The library of photos as one Python object: what the command line does, with the same answers.

What only a change of the library needs is imported by the method that makes it: a server has its
page up before that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.catalog.facets import FacetGroup
from indexer.catalog.reader import catalog_path
from indexer.core.encoder import Vectors
from indexer.core.errors import FileUnreadable, LibraryMissing, UsageError
from indexer.core.types import Candidate, Kind, LibraryInfo
from indexer.decoding.render import data_size, read_data
from indexer.duplicates.similarity import ALIKE
from indexer.library.item_files import PIXELS, ItemFiles, Original, Thumbnail
from indexer.library.library import NEXT, Library
from indexer.library.lock import LockTimeout
from indexer.library.progress_note import RunProgress, run_progress
from indexer.library.thumbnail_cache import DEFAULT_BYTES
from indexer.media.thumbnail import as_webp
from retrieval._enums import SortOrder
from retrieval._extras import require_torch
from retrieval.concepts.store import Concept, Concepts, new_name
from retrieval.errors import ItemMissing, QueryInvalid
from retrieval.filters import Where, expression, narrowed, pairs_of
from retrieval.numbered_sheet import MOST, SIDE, numbered_sheet
from retrieval.runtime.model_choice import BUILTIN, ModelChoice
from retrieval.search.downloads import DownloadFormat, download
from retrieval.search.export import ExportMode, ExportReport, export_hits
from retrieval.search.facets import MOST_VALUES, Facets, facets
from retrieval.search.library_search import ModelPool, search_library
from retrieval.search.matching_ids import (
    MOST_IDS,
    MatchCount,
    MatchingIds,
    count_matches,
    matching_ids,
)
from retrieval.search.query import Query, filters_within, parse_query
from retrieval.search.results import Hit, SearchResults, hits_of
from retrieval.search.search_request import Page, RerankChoice, Scoring, SearchRequest
from retrieval.search.suggestions import MOST_SUGGESTIONS, Suggester, Suggestion
from retrieval.search.term_names import (
    PictureSource,
    QueryTerm,
    TermNames,
    record_of,
    strangers_query,
)

if TYPE_CHECKING:
    from indexer.duplicates.finder import DuplicateGroup
    from indexer.ingest.index_options import IndexOptions
    from indexer.ingest.index_report import IndexProgress, IndexReport
    from indexer.ingest.reading import ReadingProgress, ReadingReport
    from indexer.ingest.reindex import ReindexReport
    from indexer.library.tuning_report import SearchSetting
    from indexer.library.verify import Finding
    from retrieval.concepts import LearnedConcept
    from retrieval.upkeep import RepairReport

QUERY_PIXELS = 1024
"""A photo that a query brings as bytes is decoded at least so large; models read less."""

PathLike = str | os.PathLike[str]
Picture = PathLike | bytes | Image.Image | NDArray[Any]
"""A photo to search with: its path, the bytes of its file, a picture, or an array of its pixels."""

_PAGE = 500  # items that are read at once

TARGETS = {"photos": Kind.PHOTO, "texts": Kind.TEXT}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One item of a file: a photo, a passage, or a frame of a video and its time in seconds."""

    id: int
    time: float | None


@dataclass(frozen=True, kw_only=True)
class LibraryCounts:
    """How much a library holds.

    Attributes:
        photos: how many, without the frames of videos.
        videos: how many.
        texts: how many passages.
        generation: of the commit that was counted; each commit has a higher one.
    """

    photos: int = 0
    videos: int = 0
    texts: int = 0
    generation: int = -1

    @property
    def items(self) -> int:
        """How many photos, videos and texts."""
        return self.photos + self.videos + self.texts


class PhotoLibrary:
    """A library of photos and texts: fill it with `index`, ask it with `search`.

    Make one with `open`, and close it, or use it as a context manager. Models are loaded when they
    are first needed, and stay. Any number of processes may search one folder; one at a time writes.

    Attributes:
        path: the folder of the library.
        model: the name of its model.
        thumbnail_bytes: what its thumbnails may take on the disk; 0 keeps none. It counts until the
            first one is asked for.
    """

    def __init__(
        self,
        library: Library,
        choice: ModelChoice,
        timeout: LockTimeout | None = None,
        models: ModelPool | None = None,
    ) -> None:
        self.path = library.folder
        self._choice, self._timeout = choice, timeout or LockTimeout()
        self.thumbnail_bytes = DEFAULT_BYTES
        self._pool = models or ModelPool()
        self._counts = LibraryCounts()
        self._pictures: ItemFiles | None = None
        self._opening = Lock()
        self._use(library)

    @classmethod
    def open(  # noqa: PLR0913 - a choice each
        cls,
        path: PathLike,
        model: str | None = None,
        *,
        device: str = "auto",
        create: bool = True,
        timeout: LockTimeout | None = None,
        note: Callable[[str], None] = lambda _: None,
        models: ModelPool | None = None,
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
            models: shared by several libraries, so that one model is loaded once.

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
        opened = cls(library, choice, timeout, models)
        if model is not None:
            opened._check_model()
        return opened

    def close(self) -> None:
        """Let go of the files."""
        self._close_pictures()
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
        text: str | Query | None = None,
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
                "a dog after:2019". It may name a file, as there. Or a query that `query` made.
            image: a photo; with `text` beside it, both are asked for at once.
            k: how many hits; 0 for all.
            offset: how many of the best to skip; see `SearchResults.next`.
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
        request = _request(
            _query(text, image, where),
            page=Page(top=k, offset=offset, sort=_sort(sort)),
            instruct=instruct,
            target=target,
            threshold=threshold,
            rerank=rerank,
            frames=frames,
            scoring=scoring,
        )
        return search_library(self._library, self._models, request)

    def query(
        self,
        text: str | None = None,
        *,
        terms: Sequence[QueryTerm] = (),
        where: Where | None = None,
        pictures: PictureSource = lambda _: None,
    ) -> Query:
        """Make a query of what a stranger wrote: no path in it is read, nor looked at.

        Args:
            text: words in the grammar of the command line. In place of a path, a term may be
                "item:ID", a photo of the library that is not among the hits, or "picture:KEY", one
                of the caller's. Without
                words, terms and filters, all is found, the newest first.
            terms: further terms.
            where: filters beside those in the words.
            pictures: gives the caller's open picture of a key; None if there is none.

        Raises:
            QueryInvalid: it cannot be understood.
            ItemMissing: the library has no such item, or no such picture was given.
        """
        names = TermNames(library=self._library, picture=pictures)
        query = strangers_query(names, text, terms)
        return query if where is None else narrowed(query, expression(where))

    def item(self, id_: int) -> Hit:
        """Return an item by its id, as a hit without a score, with all text that it shows.

        Raises:
            ItemMissing: the library has none of this id.
        """
        (hit,) = hits_of([Candidate(id=id_, score=0.0)], [record_of(self._library, id_)])
        return replace(hit, lines=self._library.view.lines([id_]).get(id_, ()))

    def frames(self, id_: int) -> list[Frame]:
        """Return all items of the file that an item is of: the frames of a video, in their order.

        Raises:
            ItemMissing: the library has none of this id.
        """
        record_of(self._library, id_)
        return [Frame(id=id_, time=time) for id_, time in self._library.view.of_one_file(id_)]

    def similar(self, photo: Hit | int | Picture, **how: Any) -> SearchResults:
        """Return photos like one; it takes what `search` takes beside the query.

        Args:
            photo: a hit or the id of an item, whose file is not among the results; or any other
                photo.
            how: see `search`.

        Raises:
            ItemMissing: the library has no such item.
        """
        if not isinstance(photo, Hit | int):
            return self.search(image=photo, **how)
        id_ = photo if isinstance(photo, int) else photo.id
        return self.search(self.similar_query(id_), **how)

    def similar_query(self, id_: int) -> Query:
        """Make a query for what is like an item, without its own file.

        Raises:
            ItemMissing: the library has no such item.
        """
        asked = TermNames(library=self._library).item_query(id_)
        return replace(asked, excluded=frozenset(frame.id for frame in self.frames(id_)))

    # Browse

    def facets(
        self,
        text: str = "",
        *,
        where: Where | None = None,
        target: str | Kind = "photos",
        groups: Collection[str] = tuple(FacetGroup),
        limit: int = MOST_VALUES,
    ) -> Facets:
        """Count what photos have: dates, places, cameras, folders, keywords and so on.

        A value's count is how many photos a search finds with its filter and those of all other
        groups. Words do not count.

        Args:
            text: a query of which only the filters count.
            where: filters beside those in the query.
            target: "photos" or "texts".
            groups: to count; see `FacetGroup`.
            limit: the most values of a group, and below a value.

        Raises:
            QueryInvalid: a filter cannot be understood, or there is no such group.
        """
        pairs = pairs_of(where)
        return facets(
            self._library,
            _one_of(target, TARGETS, "target"),
            [*filters_within(text), *(pairs or ())],
            expression(where).filter if where is not None and pairs is None else None,
            groups=[_group(each) for each in groups],
            limit=limit,
        )

    def suggest(
        self,
        text: str,
        at: int | None = None,
        *,
        target: str | Kind = "photos",
        limit: int = MOST_SUGGESTIONS,
    ) -> list[Suggestion]:
        """Complete a query while it is typed: filters and their values, learned names, words.

        Args:
            text: the query so far.
            at: where the caret is, in characters; its end without.
            target: "photos" or "texts".
            limit: the most completions.
        """
        return self._suggester.complete(text, at, _one_of(target, TARGETS, "target"), limit)

    def count(
        self,
        text: str | Query | None = None,
        *,
        image: Picture | None = None,
        where: Where | None = None,
        **how: Any,
    ) -> MatchCount:
        """Count what matches: all that passes the filters, of words and photos what hardly fails.

        It counts the hits of `search(k=0)`, and looks for 16,384 of them at most.

        Args:
            text: as for `search`; so are `image`, `where`, and all else but page and order.
            image: a photo.
            where: filters.
            how: see `search`.

        Raises:
            QueryInvalid: as `search`, which also says what else may be raised.
        """
        request = _request(_query(text, image, where), **how)
        return count_matches(self._library, self._models, request)

    def ids(
        self,
        text: str | Query | None = None,
        *,
        limit: int = MOST_IDS,
        offset: int = 0,
        image: Picture | None = None,
        where: Where | None = None,
        **how: Any,
    ) -> MatchingIds:
        """Return the ids of what matches, a page of them; see `count` for what does.

        Args:
            text: as for `search`; so are `image`, `where`, and all else but the order.
            limit: ids of a page.
            offset: ids to pass over; see `MatchingIds.next`.
            image: a photo.
            where: filters.
            how: see `search`.

        Raises:
            QueryInvalid: as `search`, which also says what else may be raised.
        """
        page = Page(top=limit, offset=offset)
        request = _request(_query(text, image, where), page=page, **how)
        return matching_ids(self._library, self._models, request)

    def items(self, ids: Sequence[int]) -> list[Hit]:
        """Return items by their ids, as hits without a score; those that are gone are left out."""
        found = [Candidate(id=id_, score=0.0) for id_ in ids]
        return hits_of(found, self._library.records(ids))

    def download(
        self, ids: Sequence[int], form: str | DownloadFormat = DownloadFormat.LIST
    ) -> Iterator[bytes]:
        """Yield items as one file to save, in pieces; nothing of it is held in memory.

        Args:
            ids: of the items; those that are gone are left out.
            form: "list" of paths, "csv", "json" (an object a line), or "zip" with copies of the
                files and a manifest, which also lists what cannot be read.

        Raises:
            QueryInvalid: there is no such form.
        """
        starts = range(0, len(ids), _PAGE)
        pages = (
            [replace(hit, rank=start + hit.rank) for hit in self.items(ids[start : start + _PAGE])]
            for start in starts
        )
        return download(pages, _form(form), self.original)

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
        from indexer.duplicates.finder import find_duplicates

        report = progress or (lambda _done, _total: None)
        return find_duplicates(
            self._library, [_path(each) for each in folders], alike=alike, progress=report
        )

    def info(self) -> LibraryInfo:
        """Say what the library holds."""
        return self._library.info()

    def counts(self) -> LibraryCounts:
        """Count what the library holds as of its last commit; faster than `info`."""
        generation, counts = self._library.view.facts().generation, self._counts
        if counts.generation != generation:
            self._counts = counts = _counted(self._library, generation)
        return counts

    def indexing(self) -> RunProgress | None:
        """Say how far the index run is that writes now, in whichever process; None for none."""
        return run_progress(self.path) or run_progress(self.path / NEXT)

    def is_current(self) -> bool:
        """Tell whether the folder still holds the library that was opened, not none or another."""
        return self._lies is not None and _identity(self.path) == self._lies

    def embed(self, *inputs: str | bytes) -> Vectors:
        """Return the vectors of texts and photos by the model of the library.

        Texts and photos of one meaning have vectors that point the same way.

        Args:
            inputs: texts, and the bytes of photos, in any order.

        Returns:
            One unit vector for each input, float32. Shape (inputs, dim).

        Raises:
            FileUnreadable: some bytes are no picture.
        """
        encoder = self._models.quick()
        photos = [
            read_data(each, size_hint=encoder.image_size)
            for each in inputs
            if isinstance(each, bytes)
        ]
        vectors = np.empty((len(inputs), encoder.dim), dtype=np.float32)
        is_photo = np.array([isinstance(each, bytes) for each in inputs], dtype=np.bool_)
        if photos:
            vectors[is_photo] = encoder.encode_images(photos)
        if len(photos) < len(inputs):
            vectors[~is_photo] = encoder.encode_texts([e for e in inputs if isinstance(e, str)])
        return vectors

    # Pictures

    def thumbnail(
        self, item: int, size: int = 256, *, wanted: str = "", known: str = ""
    ) -> Thumbnail:
        """Return a small picture of a photo or a frame, as WebP.

        It is kept beside the library; see `thumbnail_bytes`.

        Args:
            item: the id of a hit.
            size: pixels of the longer side, 256 or 1024. A smaller photo is not made larger.
            wanted: `Hit.version`. If a thumbnail of it is kept, the photo need not be reachable.
            known: the version that you have already; the answer then has no content.

        Raises:
            ItemMissing: the library has no such photo.
            FileUnreadable: it cannot be shown; the reason.
            UsageError: another size.
        """
        if size not in PIXELS:
            raise UsageError(f"a thumbnail has {' or '.join(map(str, PIXELS))} pixels, not {size}")
        found = self._files.thumbnail(item, size, wanted=wanted, known=known)
        if found is None:
            raise ItemMissing(f"the library has no photo {item}, or no longer; search again")
        return found

    def numbered_sheet(self, items: Sequence[int]) -> bytes:
        """Return one picture, as WebP, with some photos side by side, numbered from 1.

        A photo that cannot be shown leaves an empty place.

        Args:
            items: ids of hits.

        Raises:
            UsageError: none, or more than 60.
            ItemMissing: the library has no such photo.
        """
        if not 0 < len(items) <= MOST:
            raise UsageError(f"a sheet shows 1 to {MOST} photos, not {len(items)}")
        sheet = numbered_sheet([self._small_picture(item) for item in items])
        return as_webp(sheet, SIDE)

    def _small_picture(self, item: int) -> Image.Image | None:
        """Return the pixels of a thumbnail; None if the photo cannot be shown."""
        try:
            webp = self.thumbnail(item, wanted=self.item(item).version).webp
            return read_data(webp, size_hint=max(PIXELS))
        except FileUnreadable:
            return None

    def original(self, item: int) -> Original:
        """Open the file of an item. Close it after use.

        Raises:
            ItemMissing: the library has no such item.
            FileUnreadable: it is not reachable, or a link leads out of the indexed folders.
        """
        found = self._files.original(item)
        if found is None:
            raise ItemMissing(f"the library has no item {item}, or no longer; search again")
        return found

    @property
    def _files(self) -> ItemFiles:
        """The pictures and files of the items."""
        with self._opening:
            if self._pictures is None:
                self._pictures = ItemFiles(self.path, self.thumbnail_bytes)
            return self._pictures

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
        from indexer.ingest.pipeline import index_folders

        encoder, roots = self._models.quick(), [_path(each) for each in folders]
        with self._library.writing(self._timeout):
            return index_folders(self._library, encoder, roots, options=options, progress=progress)

    def read(
        self,
        *folders: PathLike,
        again: bool = False,
        progress: Callable[[ReadingProgress], None] | None = None,
    ) -> ReadingReport:
        """Read the text that photos show, below some folders or everywhere; searches then find it.

        Args:
            folders: read the photos below these; all if none is named.
            again: read those, too, that were read before or seem to show no text.
            progress: called after each photo.

        Raises:
            UsageError: the extra `ocr` is missing.
            LibraryLocked: another process is writing.
        """
        from indexer.ingest.reading import ReadingOptions, read_photos
        from retrieval.models.text_gate import text_gate

        wait = self._timeout.seconds
        return read_photos(
            self._library,
            [_path(each) for each in folders],
            gate=text_gate(self._library.fingerprint),
            options=ReadingOptions(again=again, wait_seconds=wait),
            progress=progress,
        )

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
        from indexer.ingest.reindex import reindex

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
        from indexer.library.tuning_report import tune

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
        self.check_name(name)
        from retrieval.concepts import LearnOptions, learn_concept  # and torch

        options, paths = LearnOptions(like=like, seed=seed), [Path(each) for each in photos]
        encoder = self._models.quick()
        return learn_concept(self._library, encoder, name, paths, options, progress)

    def check_name(self, name: str) -> None:
        """Check, before any work is done, whether a name can be learned.

        Raises:
            ConceptInvalid: the name is no word.
            ExtraMissing: learning needs packages that are not installed.
            TwinlensError: the library's folder is closed to us.
        """
        new_name(name)
        require_torch("learning a name")
        Concepts(self.path).check_writable()

    def knows_name(self, concept: Concept) -> bool:
        """Tell whether a name was learned for the library's model, so that queries may hold it."""
        return concept.fingerprint == self._library.fingerprint

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
        from retrieval.upkeep import check

        return check(self.path)

    def repair(self) -> RepairReport:
        """Mend what can be mended; photos themselves are never touched.

        Raises:
            LibraryDamaged: the catalog is beyond mending.
            LibraryLocked: another process is writing.
        """
        from retrieval.upkeep import repair

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

    def _close_pictures(self) -> None:
        """Let go of thumbnails and their decoders."""
        with self._opening:
            pictures, self._pictures = self._pictures, None
        if pictures is not None:
            pictures.close()

    def _reopen(self) -> None:
        """Open the folder anew: another library may lie there now."""
        self._close_pictures()
        self._library.close()
        self._use(Library.open(self.path))

    def _use(self, library: Library) -> None:
        """Search in an open library, with models that are not loaded yet."""
        self._library, self.model = library, library.model
        self._models = self._pool.models(self._choice, library.model, library.fingerprint)
        self._lies = _identity(library.folder)
        self._counts = LibraryCounts()
        self._suggester = Suggester(library)


@dataclass(frozen=True, kw_only=True)
class OpenPicture:
    """A picture that came as the bytes of its file.

    Attributes:
        image: RGB, upright; maybe smaller than the file.
        width: pixels of the file's picture, upright.
        height: pixels.
    """

    image: Image.Image
    width: int
    height: int


def open_picture(data: bytes) -> OpenPicture:
    """Decode the bytes of a picture's file, in a process with limits.

    Raises:
        QueryInvalid: they are no picture, or one that is too large.
    """
    try:
        width, height = data_size(data)
        image = read_data(data, size_hint=QUERY_PIXELS)
    except FileUnreadable as error:
        raise QueryInvalid(f"the bytes of the photo are no picture: {error}") from error
    return OpenPicture(image=image, width=width, height=height)


Progress = Callable[[int, int], None]
"""Called with what is done and what is to do."""


def _counted(library: Library, generation: int) -> LibraryCounts:
    """Count what a library holds."""
    counts, (frames, videos) = library.counts(), library.catalog.count_frames()
    return LibraryCounts(
        photos=counts[Kind.PHOTO] - frames,
        videos=videos,
        texts=counts[Kind.TEXT],
        generation=generation,
    )


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells one library in a folder from another; None if there is none."""
    try:
        status = catalog_path(folder).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _path(path: PathLike) -> Path:
    """Return a path as the library keeps it."""
    return Path(path).expanduser().resolve()


def _query(text: str | Query | None, image: Picture | None, where: Where | None) -> Query:
    """Make a query of what is asked for.

    Raises:
        QueryInvalid: nothing is asked for, or it cannot be understood.
    """
    if isinstance(text, Query):
        if image is not None:
            raise QueryInvalid("a Query holds its photos itself; leave out `image`")
        return text if where is None else narrowed(text, expression(where))
    pieces = ([] if image is None else [_opened(image)]) + ([text] if text else [])
    if where is None:
        return parse_query(*pieces)
    query = parse_query(*pieces) if pieces else Query(kind=Kind.TEXT)
    return narrowed(query, expression(where))


def _request(
    query: Query,
    *,
    page: Page = Page(),  # noqa: B008 - frozen
    instruct: str = "",
    target: str | Kind = "photos",
    rerank: bool | str | None = None,
    **others: Any,
) -> SearchRequest:
    """Make a request of what `PhotoLibrary.search` takes.

    Raises:
        QueryInvalid: a choice cannot be understood.
    """
    return SearchRequest(
        query=query,
        kind=_one_of(target, TARGETS, "target"),
        page=page,
        reranking=_reranking(rerank, instruct),
        **others,
    )


def _opened(image: Picture) -> Any:
    """Return a photo as a query takes it.

    Raises:
        QueryInvalid: the bytes are no picture.
    """
    if isinstance(image, str | os.PathLike):
        return Path(image).expanduser()
    return open_picture(image).image if isinstance(image, bytes) else image


def _one_of(value: str | Kind, known: dict[str, Kind], name: str) -> Kind:
    """Return the kind that a word stands for."""
    if isinstance(value, Kind):
        return value
    if value not in known:
        raise QueryInvalid(f"{name} is one of {', '.join(known)}, not '{value}'")
    return known[value]


def _group(name: str) -> FacetGroup:
    """Return the group of values that a word stands for."""
    try:
        return FacetGroup(name)
    except ValueError as error:
        raise QueryInvalid(f"a group is one of {', '.join(FacetGroup)}, not '{name}'") from error


def _form(name: str) -> DownloadFormat:
    """Return the form of a download that a word stands for."""
    try:
        return DownloadFormat(name)
    except ValueError as error:
        known = ", ".join(DownloadFormat)
        raise QueryInvalid(f"a download is one of {known}, not '{name}'") from error


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
