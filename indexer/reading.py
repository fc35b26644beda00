"""Files come into memory, several ahead of the encoder: bytes, hash, photo or passages.

Threads read and hash; photos are decoded in processes, see `indexer.decoding`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b

import PIL
from PIL import Image

from indexer.catalog import FileState, KnownFile
from indexer.decoding import DecodeOptions, Decoders
from indexer.errors import FileUnreadable
from indexer.metadata import METADATA_VERSION, read_metadata
from indexer.texts import MAX_BYTES, read_passages
from indexer.types import Kind, Metadata, Skip
from indexer.walk import Found

MAX_PHOTO_BYTES = 1_000_000_000
"""A larger file is a scan or a mosaic whose bytes alone would crowd the memory."""

READER_VERSION = 2
"""Raise it when photos.py or texts.py reads what it refused before: broken files are retried."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A file to read, and what the library knows of that path."""

    found: Found
    known: KnownFile | None


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A file in memory. A photo has one text, ""; a broken file has none.

    `about` is what a photo says about itself. One that was only touched or described anew has
    that alone, and no `photo`.
    """

    state: FileState
    known: KnownFile | None
    photo: Image.Image | None = None
    texts: tuple[str, ...] = ()
    about: Metadata | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How files are read.

    Attributes:
        decoders: the processes that decode photos.
        limits: what a photo may cost there.
        ahead: files held in memory before they are asked for.
    """

    decoders: Decoders
    limits: DecodeOptions
    ahead: int

    @property
    def name(self) -> str:
        """What a broken file was read with: another name may read it well."""
        return f"{READER_VERSION}, Pillow {PIL.__version__}, {self.limits}"

    def is_settled(self, known: KnownFile) -> bool:
        """Tell whether a file was read well, or would not be read any better today."""
        return not known.reasons or known.reader == self.name

    def is_described(self, known: KnownFile, found: Found) -> bool:
        """Tell whether what a photo and its sidecar say is known."""
        return known.stamp == stamp_of(found)

    def read_all(self, jobs: Iterable[Job], pool: ThreadPoolExecutor) -> Iterator[Loaded | Skip]:
        """Read files in the threads of a pool; they come in the order of the jobs."""
        pending: deque[Future[Loaded | Skip]] = deque()
        for job in jobs:
            pending.append(pool.submit(self.read, job))
            if len(pending) > self.ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def read(self, job: Job) -> Loaded | Skip:
        """Read and decode one file, in a thread. One that was only touched is not decoded."""
        found, known = job.found, job.known
        try:
            data = _content(found)
        except FileUnreadable as error:  # not the content's fault, so not for the catalog
            return Skip(path=found.path, reason=str(error))
        state = FileState(
            path=found.path,
            kind=found.kind,
            size=found.size,
            mtime_ns=found.mtime_ns,
            digest=blake2b(data, digest_size=16).digest(),
            reader=self.name,
            stamp=stamp_of(found),
        )
        if known and known.digest == state.digest and self.is_settled(known):
            return Loaded(state=state, known=known, about=_about(found, data))
        return self._decoded(state, job, data)

    def _decoded(self, state: FileState, job: Job, data: bytes) -> Loaded:
        """Turn bytes into a photo or passages; what is wrong with them goes into the state."""
        known = job.known
        try:
            if state.kind == Kind.PHOTO:
                photo, about = self.decoders.photo(data), _about(job.found, data)
                return Loaded(state=state, known=known, photo=photo, texts=("",), about=about)
            read = read_passages(state.path, data)
        except FileUnreadable as error:
            return Loaded(state=replace(state, reasons=(str(error),)), known=known)
        state = replace(state, reasons=tuple(skip.reason for skip in read.skipped))
        return Loaded(state=state, known=known, texts=read.passages)


def stamp_of(found: Found) -> str:
    """Name what reads a photo's metadata, and the sidecar it reads; empty for a text."""
    return f"{METADATA_VERSION} {found.sidecar_ns}" if found.kind == Kind.PHOTO else ""


def _about(found: Found, data: bytes) -> Metadata | None:
    """Read what a photo and its sidecar say; None for a text."""
    return read_metadata(data, sidecar=found.sidecar) if found.kind == Kind.PHOTO else None


@contextmanager
def reading_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Start threads for a `Reader`; on leaving, what is not yet read is dropped."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="reader")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _content(found: Found) -> bytes:
    """Read a file that still is what the walk found."""
    limit = MAX_PHOTO_BYTES if found.kind == Kind.PHOTO else MAX_BYTES
    if found.size > limit:
        raise FileUnreadable(f"larger than {limit / 1e6:,.0f} MB")
    try:
        with found.path.open("rb") as file:
            data, status = file.read(limit), os.fstat(file.fileno())
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error
    if (len(data), status.st_mtime_ns) != (found.size, found.mtime_ns):
        raise FileUnreadable("changed while it was read; index again")
    return data
