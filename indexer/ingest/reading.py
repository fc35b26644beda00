"""Read the text in the photos of a library: a pass that can be stopped and goes on at any time.

Photos that were read already are left as they are. Photos that seem to show no text, as a gate says
by their patch tokens, are noted as such and not decoded again.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.catalog.changes import Reading, Transaction, UnreadPhoto
from indexer.core.encoder import Tokens, TokenShape
from indexer.core.errors import FileUnreadable, UsageError
from indexer.core.file_types import MediaType
from indexer.core.types import Skip
from indexer.decoding.messages import DecodeRequest
from indexer.decoding.pool import DecodeOptions, DecodePool
from indexer.library.library import Library
from indexer.library.lock import LockTimeout
from indexer.media.file_signature import form_in
from indexer.media.image import read_bytes
from indexer.media.picture_text import SIZE_HINT, check_text_reader, reader_name

MEMORY_BYTES = 3_000_000_000
"""Address space of a process that reads: the models and their buffers reserve one gigabyte."""

GATED = 1_000
"""Photos whose tokens are judged at once."""

CHANGED = "changed since it was indexed; index again"
"""Why a photo is not read: its text would belong to another picture."""


class TextGate(Protocol):
    """Tells by the patch tokens of photos which of them may show text."""

    @property
    def shape(self) -> TokenShape:
        """The shape of the tokens that it reads."""
        ...

    def passes(self, tokens: Tokens) -> NDArray[np.bool_]:
        """Return which photos are worth reading, for tokens of shape (photos, tokens, width)."""
        ...


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """The options of a pass.

    Attributes:
        again: read photos that were read before, too, and ask no gate.
        commit_every: photos in one commit; a kill loses no more.
        threads: photos that are read at once; each takes a process of 0.6 GB.
        decode: limits of decoding one photo.
        wait_seconds: how long to wait for another process that writes to the library.
    """

    again: bool = False
    commit_every: int = 64
    threads: int = min(2, os.cpu_count() or 1)
    decode: DecodeOptions = field(
        default_factory=lambda: DecodeOptions(memory_bytes=MEMORY_BYTES, seconds=120)
    )
    wait_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("commit_every", "threads"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class ReadingProgress:
    """How far a pass is: photos done, of all that are to be read; and how many show text."""

    done: int
    total: int
    with_text: int


@dataclass(frozen=True, kw_only=True)
class ReadingReport:
    """What a pass did.

    Attributes:
        photos: that were not read before.
        looked_at: of these, those that the gate let through.
        with_text: of these, those that show text.
        skipped: photos that could not be read, and why.
        seconds: that it took.
    """

    photos: int
    looked_at: int
    with_text: int
    skipped: tuple[Skip, ...]
    seconds: float


def read_photos(
    library: Library,
    folders: Sequence[Path] = (),
    *,
    gate: TextGate | None = None,
    options: ReadingOptions | None = None,
    progress: Callable[[ReadingProgress], None] | None = None,
) -> ReadingReport:
    """Read the text in the photos of a library, below some folders or everywhere.

    Each commit holds the photos that were read until then, so a pass that is killed goes on where
    it stopped. Others may index meanwhile.

    Args:
        library: its photos are read.
        folders: read photos below these alone; all if none is named.
        gate: tells which photos are worth it; without one all are read.
        options: the defaults suit most uses.
        progress: called after each photo.

    Raises:
        UsageError: the package that reads is missing.
        LibraryLocked: another process is writing all the time.
    """
    check_text_reader()
    options = options or ReadingOptions()
    name = reader_name()
    with library.writing(LockTimeout(seconds=options.wait_seconds)):
        pass  # brings an older library to the format that has room for text
    photos = library.catalog.unread(name, folders, again=options.again)
    run = _ReadingRun(
        library=library,
        name=name,
        gate=None if options.again else gate,
        options=options,
        progress=progress or (lambda _: None),
        total=len(photos),
    )
    started = time.monotonic()
    with DecodePool(options.decode, size_hint=SIZE_HINT) as decoders:
        run.read(photos, decoders)
    return ReadingReport(
        photos=len(photos),
        looked_at=run.looked_at,
        with_text=run.with_text,
        skipped=tuple(run.skipped),
        seconds=time.monotonic() - started,
    )


_Read: TypeAlias = tuple[UnreadPhoto, Reading | Skip]


@dataclass(kw_only=True)
class _ReadingRun:
    """One pass: what it reads with, and what it has met so far."""

    library: Library
    name: str
    gate: TextGate | None
    options: ReadingOptions
    progress: Callable[[ReadingProgress], None]
    total: int
    done: int = 0
    looked_at: int = 0
    with_text: int = 0
    skipped: list[Skip] = field(default_factory=list)

    def read(self, photos: Sequence[UnreadPhoto], decoders: DecodePool) -> None:
        """Read photos, and commit them some at a time; where it breaks off, what was read, too."""
        threads = ThreadPoolExecutor(self.options.threads, thread_name_prefix="text")
        results = self._results(photos, decoders, threads)
        try:
            while some := list(islice(results, self.options.commit_every)):
                self._commit(some)
        except BaseException:
            decoders.close()
            raise
        finally:
            threads.shutdown(cancel_futures=True)

    def _results(
        self, photos: Sequence[UnreadPhoto], decoders: DecodePool, threads: ThreadPoolExecutor
    ) -> Iterator[_Read]:
        """Yield what each photo shows, in their order."""
        pending: deque[tuple[UnreadPhoto, Future[Reading | Skip]]] = deque()
        for photo, passes in self._judged(photos):
            if not passes:
                yield self._met(photo, Reading(reader=self.name))
                continue
            self.looked_at += 1
            pending.append((photo, threads.submit(self._look, photo, decoders)))
            if len(pending) > 2 * self.options.threads:
                photo, future = pending.popleft()
                yield self._met(photo, future.result())
        for photo, future in pending:
            yield self._met(photo, future.result())

    def _judged(self, photos: Sequence[UnreadPhoto]) -> Iterator[tuple[UnreadPhoto, bool]]:
        """Say of each photo whether it is worth reading; one without tokens is."""
        if self.gate is None:
            yield from ((photo, True) for photo in photos)
            return
        for start in range(0, len(photos), GATED):
            some = photos[start : start + GATED]
            ids = [photo.item for photo in some]
            held = self.library.patch_tokens.read(ids, self.gate.shape)
            rows = [row for row, tokens in enumerate(held) if tokens is not None]
            passes = np.ones(len(some), dtype=np.bool_)
            if rows:
                kept = [tokens for tokens in held if tokens is not None]
                passes[rows] = self.gate.passes(np.stack(kept))
            yield from zip(some, passes.tolist(), strict=True)

    def _look(self, photo: UnreadPhoto, decoders: DecodePool) -> Reading | Skip:
        """Read one photo, in a thread."""
        look = DecodeRequest(
            form=form_in(photo.path) or MediaType.PICTURE,
            size_hint=SIZE_HINT,
            max_megapixels=self.options.decode.max_megapixels,
            frames=1,
            one=True,
            lines=True,
        )
        try:
            status = photo.path.stat()
            if (status.st_size, status.st_mtime_ns) != (photo.size, photo.mtime_ns):
                return Skip(path=photo.path, reason=CHANGED)
            return Reading(
                reader=self.name, lines=decoders.look(read_bytes(photo.path), look).lines
            )
        except OSError as error:
            return Skip(path=photo.path, reason=(error.strerror or str(error)).lower())
        except FileUnreadable as error:
            return Skip(path=photo.path, reason=str(error))

    def _met(self, photo: UnreadPhoto, result: Reading | Skip) -> _Read:
        """Count a photo, and tell who watches."""
        self.done += 1
        if isinstance(result, Skip):
            self.skipped.append(result)
        elif result.lines:
            self.with_text += 1
        self.progress(ReadingProgress(done=self.done, total=self.total, with_text=self.with_text))
        return photo, result

    def _commit(self, results: Iterable[_Read]) -> None:
        """Store what was read, of photos that are still in the library."""
        read = {photo: reading for photo, reading in results if isinstance(reading, Reading)}
        if not read:
            return
        with self.library.writing(LockTimeout(seconds=self.options.wait_seconds)):
            there = self.library.catalog.still_there(read)
            self.library.catalog.apply(
                Transaction(readings={photo.file: read[photo] for photo in there})
            )
