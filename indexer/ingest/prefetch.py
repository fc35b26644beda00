"""Read files ahead of the encoder: bytes, hash, and the decoded photo or text passages.

Threads read and hash. Decoder processes decode and read metadata: see `indexer.decoding.pool`.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from threading import Lock
from typing import IO

from PIL import Image

from indexer.catalog.changes import FileRecord, FileState
from indexer.core.content_digest import content_digest, sampled_digest
from indexer.core.errors import FileUnreadable, Unaffordable
from indexer.core.file_access import date, open_regular
from indexer.core.file_types import MediaType
from indexer.core.types import Kind, Metadata, Skip
from indexer.decoding.messages import DecodedFile
from indexer.decoding.pool import DecodeOptions, DecodePool
from indexer.ingest.walker import FoundFile
from indexer.media.file_signature import form_in
from indexer.media.image import MAX_PHOTO_BYTES
from indexer.media.text import MAX_BYTES, read_passages
from indexer.metadata.extract import METADATA_VERSION, with_place

READER_VERSION = 5
"""Raise it when our readers read what they refused before: broken files are retried."""

CHANGED = "changed while it was read; index again"
"""Why a file is skipped that is being written; another run may read it."""

_DECODERS = ("pillow", "pillow-heif", "pillow-jxl-plugin", "rawpy", "av")
"""Packages that read photos; another version may read what this one does not."""

_VIDEO_WEIGHT = 16  # photos that a video counts as, where memory is counted
_LARGE_BYTES = 100_000_000
"""Larger photos are read one at a time: their bytes are in memory here and in the decoder."""


_HEAD, _TAIL = 1 << 16, 1 << 14  # bytes of any file that are compared where its inode has changed
_BETWEEN, _BETWEEN_BYTES = 4, 1 << 12  # and so many times so many between these


@dataclass(frozen=True, kw_only=True)
class ReadJob:
    """A file to read, and the library's record of that path."""

    found: FoundFile
    known: FileRecord | None


@dataclass(frozen=True, kw_only=True)
class LoadedFile:
    """A file in memory. A photo has one text, ""; a video one for each frame; a broken file none.

    `times` are those of the frames. `about` is what a photo says about itself. One that was only
    touched or has new metadata has that alone, and no `photos`. `remark` says what is wrong with a
    file that was read all the same.
    """

    state: FileState
    known: FileRecord | None
    photos: tuple[Image.Image, ...] = ()
    texts: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    about: Metadata | None = None
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Prefetcher:
    """How files are read.

    Attributes:
        decoders: the processes that decode photos.
        limits: what a photo may cost there.
        ahead: files held in memory before they are asked for.
    """

    decoders: DecodePool
    limits: DecodeOptions
    ahead: int
    one_large: Lock = field(default_factory=Lock, repr=False)

    @property
    def name(self) -> str:
        """What a broken file was read with: another name may read it well."""
        return f"{READER_VERSION}, {_versions()}, {self.limits}"

    def is_settled(self, known: FileRecord) -> bool:
        """Return whether a file was read well, or would not be read any better today."""
        return not known.reasons or known.reader == self.name

    def is_described(self, known: FileRecord, found: FoundFile) -> bool:
        """Return whether the metadata of a photo and its sidecar is up to date."""
        return known.stamp == stamp_of(found)

    def read_all(
        self, jobs: Iterable[ReadJob], pool: ThreadPoolExecutor
    ) -> Iterator[LoadedFile | Skip]:
        """Read files in the threads of a pool; they come in the order of the jobs."""
        pending: deque[tuple[int, Future[LoadedFile | Skip]]] = deque()
        for job in jobs:
            pending.append((_weight(job), pool.submit(self.read, job)))
            while sum(weight for weight, _ in pending) > self.ahead:
                yield pending.popleft()[1].result()
        while pending:
            yield pending.popleft()[1].result()

    def read(self, job: ReadJob) -> LoadedFile | Skip:
        """Read and decode one file, in a thread. One that was only touched is not decoded."""
        is_large = job.found.size > _LARGE_BYTES
        with self.one_large if is_large else nullcontext():
            return self._read(job)

    def _read(self, job: ReadJob) -> LoadedFile | Skip:
        """Read and decode one file."""
        found, known = job.found, job.known
        try:
            if known and self._is_renumbered(known, found):
                return LoadedFile(state=_renumbered(known, found), known=known)
            data, digest, sample = _content(found)
        except FileUnreadable as error:  # not the content's fault, so not for the catalog
            return Skip(path=found.path, reason=str(error))
        state = FileState(
            path=found.path,
            kind=found.kind,
            size=found.size,
            mtime_ns=found.mtime_ns,
            digest=digest,
            reader=self.name,
            stamp=stamp_of(found),
            ctime_ns=found.ctime_ns,
            inode=found.inode,
            sample=sample,
        )
        if known and known.digest == state.digest and self.is_settled(known):
            # The digest of a video is of samples: what it says may be new all the same.
            told = self.is_described(known, found) and form_in(found.location) != MediaType.VIDEO
            return LoadedFile(
                state=state, known=known, about=None if told else self._about(found, data)
            )
        try:
            return self._decoded(state, job, data)
        except Unaffordable as error:  # this machine's fault
            return Skip(path=found.path, reason=str(error))

    def _is_renumbered(self, known: FileRecord, found: FoundFile) -> bool:
        """Return whether only the inode changed, as on some drives whenever they are mounted.

        Its content is compared by samples: a drive full of photos is not read whole each time.
        """
        dates = (known.size, known.mtime_ns, known.ctime_ns)
        same = dates == (found.size, found.mtime_ns, found.ctime_ns)
        if not (same and self.is_settled(known) and self.is_described(known, found)):
            return False
        return known.sample is not None and known.sample == _sample_of_file(found)

    def _decoded(self, state: FileState, job: ReadJob, data: bytes) -> LoadedFile:
        """Turn bytes into photos or passages; faults go into the state."""
        known = job.known
        try:
            if state.kind == Kind.PHOTO:
                seen = self._seen(job.found, data)
                return LoadedFile(
                    state=state,
                    known=known,
                    photos=seen.photos,
                    texts=("",) * len(seen.photos),
                    times=seen.times,
                    about=seen.about,
                    remark=seen.remark,
                )
            read = read_passages(state.path, data)
        except Unaffordable:
            raise
        except FileUnreadable as error:
            return LoadedFile(state=replace(state, reasons=(str(error),)), known=known)
        state = replace(state, reasons=tuple(skip.reason for skip in read.skipped))
        return LoadedFile(state=state, known=known, texts=read.passages)

    def _seen(self, found: FoundFile, data: bytes, *, pictures: bool = True) -> DecodedFile:
        """Decode a photo, a RAW or a video in a process; add its place name and its stack."""
        form = form_in(found.location) or MediaType.PICTURE
        body = os.fsencode(found.location) if form == MediaType.VIDEO else data
        seen = self.decoders.see(form, body, sidecar=found.sidecar, pictures=pictures)
        return replace(seen, about=replace(with_place(seen.about), also=found.also))

    def _about(self, found: FoundFile, data: bytes) -> Metadata | None:
        """Read the metadata of a photo and its sidecar; None for a text, or an unreadable file."""
        if found.kind == Kind.TEXT:
            return None
        try:
            return self._seen(found, data, pictures=False).about
        except FileUnreadable:
            return None


def stamp_of(found: FoundFile) -> str:
    """Name what reads a photo's metadata, its sidecar and the other files of its shot."""
    if found.kind == Kind.TEXT:
        return ""
    also = f" {json.dumps(found.also)}" if found.also else ""
    return f"{METADATA_VERSION} {found.sidecar_ns}{also}"


@cache
def _versions() -> str:
    """Name the packages that read photos, those that are installed."""
    found = []
    for package in _DECODERS:
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return ", ".join(found)


def _weight(job: ReadJob) -> int:
    """Return how many photos a file may turn out to be, where memory is counted."""
    return _VIDEO_WEIGHT if form_in(job.found.location) == MediaType.VIDEO else 1


@contextmanager
def reading_threads(count: int, decoders: DecodePool) -> Iterator[ThreadPoolExecutor]:
    """Start threads for a `Prefetcher`; on leaving, files not read yet are dropped.

    Where the run breaks off, the decoders end at once: a thread may be waiting for one.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="reader")
    try:
        yield pool
    except BaseException:
        decoders.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _renumbered(known: FileRecord, found: FoundFile) -> FileState:
    """Return a known file as it is after its inode has changed."""
    values = {name: value for name, value in vars(known).items() if name != "id"}
    return replace(FileState(**values), inode=found.inode, ctime_ns=found.ctime_ns)


def _sample_of_file(found: FoundFile) -> bytes:
    """Hash parts of a file.

    Raises:
        FileUnreadable: it cannot be read.
    """
    try:
        with open_regular(found.path) as file:
            return _sample(file, found.size)
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error


def _content(found: FoundFile) -> tuple[bytes, bytes, bytes]:
    """Read a file that still is what the walk found.

    A video is read where it lies, and known again by samples of it.

    Returns:
        Its bytes, none of a video; a hash of it; a hash of parts of it.

    Raises:
        FileUnreadable: it cannot be read, or has changed meanwhile.
    """
    is_video = form_in(found.location) == MediaType.VIDEO
    limit = MAX_PHOTO_BYTES if found.kind == Kind.PHOTO else MAX_BYTES
    if found.size > limit and not is_video:
        raise FileUnreadable(f"larger than {limit / 1e6:,.0f} MB")
    try:
        with open_regular(found.path) as file:
            # Never more than its size: what claims none, as files of /proc do, may have no end.
            data = b"" if is_video else file.read(found.size)
            digest = sampled_digest(file, found.size) if is_video else content_digest(data)
            sample = _sample(file if is_video else BytesIO(data), found.size)
            status = os.fstat(file.fileno())
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error
    read = found.size if is_video else len(data)
    if (read, status.st_size, date(status.st_mtime_ns)) != (found.size, found.size, found.mtime_ns):
        raise FileUnreadable(CHANGED)
    return data, digest, sample


def _sample(file: IO[bytes], size: int) -> bytes:
    """Hash the size of a file, its start and end, and a little between."""
    hashed = blake2b(str(size).encode(), digest_size=16)
    inner = max(0, size - _HEAD - _TAIL)
    spots = [(0, _HEAD), (size - _TAIL, _TAIL)]
    spots += [(_HEAD + inner * number // _BETWEEN, _BETWEEN_BYTES) for number in range(_BETWEEN)]
    for start, length in spots:
        file.seek(max(0, start))
        hashed.update(file.read(length))
    return hashed.digest()
