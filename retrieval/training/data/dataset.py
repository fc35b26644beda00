"""Turn pairs into batches; (seed, epoch) alone decides which photos and captions form a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from indexer.core.errors import FileUnreadable
from indexer.core.types import Skip
from indexer.decoding.pool import shared_decoders
from retrieval.errors import PairsInvalid
from retrieval.models.pixels import canvas
from retrieval.models.preprocess import ImageSpec
from retrieval.pairs import Pair, read_pairs
from retrieval.training.losses import Targets

GIB = 1 << 30
NAME_WORDS = 3


@dataclass(frozen=True)
class Batch:
    """One global batch, as indices.

    Attributes:
        photos: rows of the training set, int64, shape (b,).
        captions: the words, `k` for each photo in turn, c = b · k.
        targets: which belong together.
    """

    photos: NDArray[np.int64]
    captions: tuple[str, ...]
    targets: Targets

    @property
    def per_photo(self) -> int:
        """Captions for each photo."""
        return len(self.captions) // len(self.photos)


class TrainingSet:
    """The pairs of all sources, and what decides which of them are negatives of each other.

    Args:
        pairs: of all sources.
        source: for each pair, the number of its source. Captions of one source never were
            written with the photos of another in mind, so these are not negatives.
        templates: sentences with one `{}`; a caption of at most three words (a name) is put
            into a random one, as a query for it would be.
        twins: rows whose photo is that of an earlier row under another name (`find_twins`).
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        source: Sequence[int],
        templates: Sequence[str] = (),
        twins: Mapping[int, int] | None = None,
    ) -> None:
        self.pairs = tuple(pairs)
        self._source = np.array(source)
        self._templates = tuple(templates)
        photos: dict[tuple[Path, int], int] = {}
        words: dict[str, int] = {}
        first = [(twins or {}).get(row, row) for row in range(len(self.pairs))]
        keys = [(self.pairs[row].photo.path, self.pairs[row].photo.offset) for row in first]
        self._photo = np.array([photos.setdefault(key, len(photos)) for key in keys])
        self._words = [
            [words.setdefault(text.lower().rstrip(" ."), len(words)) for text in pair.captions]
            for pair in self.pairs
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def epoch(self, epoch: int, *, size: int, captions: int, seed: int) -> Iterator[Batch]:
        """Yield the batches of one pass in a random order; what is left over is dropped.

        A photo with fewer captions than asked for repeats some of its own.
        """
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(self.pairs))
        size = min(size, len(order))
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            chosen = [self._choose(int(row), captions, rng) for row in rows]
            texts = [
                self._phrase(self.pairs[row].captions[number], rng)
                for row, numbers in zip(rows, chosen, strict=True)
                for number in numbers
            ]
            yield Batch(rows, tuple(texts), self._targets(rows, chosen))

    def _choose(self, row: int, captions: int, rng: np.random.Generator) -> list[int]:
        """Choose captions of one photo, different ones as long as there are any."""
        have = len(self.pairs[row].captions)
        return [int(number) for number in np.resize(rng.permutation(have), captions)]

    def _phrase(self, caption: str, rng: np.random.Generator) -> str:
        """Put a bare name into a random sentence; leave a sentence as it is."""
        if not self._templates or len(caption.split()) > NAME_WORDS:
            return caption
        return self._templates[rng.integers(len(self._templates))].format(caption)

    def _targets(self, rows: NDArray[np.int64], chosen: list[list[int]]) -> Targets:
        """Say which photos (b) and captions (c) match, and which do not count as negatives."""
        owner = np.repeat(np.arange(len(rows)), [len(numbers) for numbers in chosen])  # (c,)
        match = np.arange(len(rows))[:, None] == owner  # (b, c)
        photo, source = self._photo[rows], self._source[rows]
        ignore = (photo[:, None] == photo[owner]) | (source[:, None] != source[owner])
        columns: dict[int, list[int]] = {}
        words = [
            self._words[row][number]
            for row, numbers in zip(rows, chosen, strict=True)
            for number in numbers
        ]
        for column, word in enumerate(words):
            columns.setdefault(word, []).append(column)
        for place, row in enumerate(rows):
            for word in self._words[row]:
                ignore[place, columns.get(word, [])] = True
        return Targets(torch.from_numpy(match), torch.from_numpy(ignore & ~match))


class DecodedPhotos:
    """Decoded photos as uint8 squares, kept in memory when they fit.

    Where they do not fit, a photo is decoded each time it is learned from. One that fails then
    is black, and `unreadable` says so: it must not count.

    Args:
        pairs: whose photos.
        image: how a photo becomes a square.
        size: pixels a side of the square.
        cache_bytes: the most memory to use; above it photos are decoded each time.
        workers: threads that decode.
    """

    def __init__(
        self, pairs: Sequence[Pair], image: ImageSpec, size: int, cache_bytes: float, workers: int
    ) -> None:
        self._pairs = pairs
        self._image = image
        self._size = size
        self._pool = ThreadPoolExecutor(workers)
        self._fits = len(pairs) * 3 * size * size <= cache_bytes
        self._kept: Tensor | None = None
        self._failed: dict[int, Skip] = {}
        self._told = 0
        self._at_work: set[int] = set()
        self._closed = False

    def keep(self, device: torch.device, progress: Callable[[int, int], None]) -> dict[int, Skip]:
        """Decode every photo once into memory, if they fit; leave out what does not decode.

        Returns the rows left out, with the reason of each. Later rows move up.

        Args:
            device: kept there when its memory has room, else in main memory.
            progress: called with the number of photos done and of all.
        """
        if not self._fits:
            return {}
        try:
            return self._keep(device, progress)
        except BaseException:
            self.close()
            raise

    def _keep(self, device: torch.device, progress: Callable[[int, int], None]) -> dict[int, Skip]:
        """Decode every photo once."""
        broken: dict[int, Skip] = {}
        kept: list[Tensor] = []
        for row, result in enumerate(self._pool.map(self._try, range(len(self._pairs)))):
            progress(row + 1, len(self._pairs))
            if isinstance(result, Skip):
                broken[row] = result
            else:
                kept.append(result)
        self._pairs = [pair for row, pair in enumerate(self._pairs) if row not in broken]
        if kept:
            self._kept = torch.stack(kept)
            if device.type == "cuda" and self._kept.nbytes < torch.cuda.mem_get_info()[0] / 4:
                self._kept = self._kept.to(device)
        return broken

    def __getitem__(self, rows: NDArray[np.int64]) -> Tensor:
        """Return some photos. uint8, shape (rows, 3, size, size)."""
        if self._kept is not None:
            return self._kept[torch.from_numpy(rows).to(self._kept.device)]
        decoded = list(self._pool.map(self._try, rows.tolist()))
        for row, result in zip(rows.tolist(), decoded, strict=True):
            if isinstance(result, Skip):
                self._failed.setdefault(row, result)
        black = torch.zeros(3, self._size, self._size, dtype=torch.uint8)
        return torch.stack([black if isinstance(each, Skip) else each for each in decoded])

    @property
    def whole(self) -> bool:
        """True where every photo lies in memory, so that none can fail any more."""
        return self._kept is not None

    def unreadable(self, rows: NDArray[np.int64]) -> Tensor:
        """Say which of some photos failed when they were decoded. bool, shape (rows,)."""
        return torch.tensor([row in self._failed for row in rows.tolist()], dtype=torch.bool)

    def failures(self) -> list[Skip]:
        """Return the photos that failed since the last call."""
        failed = list(self._failed.values())[self._told :]
        self._told += len(failed)
        return failed

    def close(self) -> None:
        """End the decoding threads; a file that one of them waits for is given up."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._at_work:
            shared_decoders().give_up()
        self._pool.shutdown()

    def _decode(self, row: int) -> Tensor:
        """Decode one photo. uint8, shape (3, size, size)."""
        photo = self._pairs[row].open(size_hint=self._size)
        return canvas(self._image, photo, self._size)

    def _try(self, row: int) -> Tensor | Skip:
        """Decode one photo, or say why not."""
        self._at_work.add(row)
        try:
            if self._closed:
                raise FileUnreadable("the run was ended")
            return self._decode(row)
        except FileUnreadable as error:
            return Skip(path=self._pairs[row].photo.path, reason=str(error))
        finally:
            self._at_work.discard(row)


@dataclass(frozen=True, kw_only=True)
class JoinedPairs:
    """Pairs of several sources, with the number of each pair's source."""

    pairs: tuple[Pair, ...]
    source: tuple[int, ...]
    skipped: tuple[Skip, ...]

    def without(self, broken: Mapping[int, Skip]) -> JoinedPairs:
        """Leave out the rows whose photo did not decode.

        Raises:
            PairsInvalid: none is left.
        """
        left = [row for row in range(len(self.pairs)) if row not in broken]
        if not left:
            raise PairsInvalid(
                f"none of the {len(self.pairs)} photos could be decoded; the first: "
                f"{broken[0].path}: {broken[0].reason}"
            )
        return JoinedPairs(
            pairs=tuple(self.pairs[n] for n in left),
            source=tuple(self.source[n] for n in left),
            skipped=(*self.skipped, *broken.values()),
        )


def gather_pairs(sources: Sequence[Path]) -> JoinedPairs:
    """Read all sources into one set; a source named twice counts twice.

    Raises:
        PairsInvalid: a source cannot be used.
    """
    sets = {source: read_pairs(source) for source in sources}
    numbers = {source: number for number, source in enumerate(sets)}
    return JoinedPairs(
        pairs=tuple(pair for source in sources for pair in sets[source].pairs),
        source=tuple(numbers[source] for source in sources for _ in sets[source].pairs),
        skipped=tuple(
            skip for each in sets.values() for skip in (*each.skipped, *each.uncaptioned)
        ),
    )


def prefetched(
    batches: Iterator[Batch], load: Callable[[Batch], Tensor]
) -> Iterator[tuple[Batch, Tensor]]:
    """Load the next batch's photos while the present one is trained on.

    Where the run breaks off, a batch that is being loaded is not waited for.
    """
    pool = ThreadPoolExecutor(1)
    try:
        waiting = [(batch, pool.submit(load, batch)) for batch in islice(batches, 2)]
        while waiting:
            batch, loaded = waiting.pop(0)
            yield batch, loaded.result()
            waiting.extend((batch, pool.submit(load, batch)) for batch in islice(batches, 1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
