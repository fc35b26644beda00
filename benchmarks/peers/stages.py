"""How fast twinlens decodes photos alone, and encodes them alone, each with the whole machine.

    python benchmarks/peers/stages.py --model SPEC --photos DIR

The parts are those of the index line, with its defaults. The last line is JSON: photos a second.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from PIL import Image

from indexer.core.encoder import Encoder, TokenEncoder
from indexer.core.types import Skip
from indexer.decoding.pool import decoders_for
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.prefetch import LoadedFile, Prefetcher, ReadJob, reading_threads
from indexer.ingest.walker import FoundFile, WalkOptions, walk
from retrieval import quick_encoder

WARM = 16  # photos before the clock starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--photos", type=Path, required=True)
    asked = parser.parse_args()
    encoder = quick_encoder(asked.model)
    rate, photos = decode(asked.photos, encoder)
    print(json.dumps({"decode alone": rate, "encode alone": encode(encoder, photos)}))


def decode(folder: Path, encoder: Encoder) -> tuple[float, list[Image.Image]]:
    """Read, decode and cut a folder as the index line does. Returns photos a second, and photos."""
    options = IndexOptions()
    found = walk([folder], options=WalkOptions())
    jobs = [ReadJob(found=file, known=None) for file in found if isinstance(file, FoundFile)]
    with (
        decoders_for(encoder, options.decode) as decoders,
        reading_threads(options.threads, decoders) as pool,
    ):
        reader = Prefetcher(decoders=decoders, limits=options.decode, ahead=options.batch_size)
        deque(reader.read_all(jobs[:WARM], pool), maxlen=0)
        photos: list[Image.Image] = []
        rate = timed(len(jobs), lambda: photos.extend(_photos(reader.read_all(jobs, pool))))
    assert len(photos) == len(jobs), "a photo could not be read"
    return rate, photos


def _photos(loaded: Iterable[LoadedFile | Skip]) -> Iterator[Image.Image]:
    """Yield the decoded photos."""
    for file in loaded:
        assert isinstance(file, LoadedFile)
        yield from file.photos


def encode(encoder: Encoder, photos: list[Image.Image]) -> float:
    """Embed decoded photos in batches as the index line does. Returns photos a second."""
    size = IndexOptions().batch_size
    look = encoder.encode_images
    if isinstance(encoder, TokenEncoder) and encoder.token_shape:
        look = lambda batch: encoder.encode_with_tokens(batch)[0]  # noqa: E731
    look(photos[:WARM])
    return timed(
        len(photos), lambda: [look(photos[at : at + size]) for at in range(0, len(photos), size)]
    )


def timed(count: int, work: Callable[[], object]) -> float:
    """Return photos a second of doing something with so many."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
