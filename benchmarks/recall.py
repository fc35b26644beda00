"""How surely words of several kinds are found in lists that were tuned with generic captions.

    twinlens index PHOTOS... --library L        # some thousand real photos, once
    python benchmarks/recall.py --library L --captions dev.jsonl --labels l.jsonl --rows 1000000

The photos' vectors grow to as many as wanted (`benchmarks/grown.py`) and go into lists. Half of the
library's questions choose, for each aim, how many lists are looked through; then the other half,
captions and labels ask with the correction for hubness, and what they find is compared with the
products with all vectors. Milliseconds are of CPU, on one thread, of the median caption.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import faiss
import numpy as np
from index_types import Borrowed, fill

import retrieval
from indexer.calibration.hubness import with_alpha
from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from indexer.library.library import Library
from indexer.vectors.ivf_index import IvfIndex
from indexer.vectors.nprobe_tuning import (
    Ranks,
    RecallTarget,
    TuningQueries,
    choose_nprobe,
    halved,
    recall_at,
)

AIMS = (0.95, 0.96, 0.97, 0.98, 0.99)
WANTED, MANY, TIMED = 0.95, 1_000, 200
DEPTHS = (10, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, required=True, help="of real photos")
    parser.add_argument("--captions", type=Path, required=True, help="pairs, as JSONL")
    parser.add_argument("--labels", type=Path, help="labels, as JSONL")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--alpha", type=float, default=0.5, help="share of hubness; builtin: 0.5")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep what is made here")
    parser.set_defaults(double=False)
    args = parser.parse_args()
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = args.home or Path(folder) / "library"
        if not home.exists():
            with (
                Library.open(args.library) as real,
                Library.create(home, Borrowed(real, double=False)) as library,
            ):
                fill(library, real, args)
        with Library.open(home) as library:
            compare(library, dict(asked(args)))


def asked(args: argparse.Namespace) -> Iterator[tuple[str, Vectors]]:
    """Yield questions in words, as they ask, by what they are. Shape (texts, width) each."""
    encoder = retrieval.load_encoder("builtin")
    rows = [json.loads(line)["captions"] for line in args.captions.open()]
    texts = {"captions": [row[number % len(row)] for number, row in enumerate(rows)][:MANY]}
    if args.labels:
        labels = sorted({json.loads(line)["label"] for line in args.labels.open()})
        texts["labels"] = [f"a photo of a {label}" for label in labels[:MANY]]
    for name, some in texts.items():
        yield name, with_alpha(encoder.encode_texts(some), args.alpha)


def compare(library: Library, words: dict[str, Vectors]) -> None:
    """Print what each aim finds of each kind of question."""
    library.tune(RecallTarget(exact_rows=0))
    questions = library.normalizer.questions(Kind.PHOTO)
    chosen = library.vectors.ranks(Kind.PHOTO, halved(questions, 0))
    ranks = others(library, halved(questions, 1), words)
    ranks |= {f"{few} captions": ranks["captions"][:few] for few in (300, 30)}
    print(f"{'aim':>5}  {'depth':>5}  {'lists':>5}  {'ms':>5}  " + "  ".join(ranks))
    for aim in AIMS:
        lists = choose_nprobe(chosen, aim)
        for depth in DEPTHS:
            found = (recall_at(each[:, :depth], lists[depth]) for each in ranks.values())
            shown = (f"{each:{len(name)}.3f}" for name, each in zip(ranks, found, strict=True))
            ms = milliseconds(library, words["captions"][:TIMED], depth, lists[depth])
            print(
                f"{aim:5}  {depth:5}  {lists[depth]:5}  {ms:5.2f}  " + "  ".join(shown), flush=True
            )
    for name, each in ranks.items():
        shares = (each[:, :10] < choose_nprobe(chosen, AIMS[0])[10]).mean(axis=1)
        needed = next(n for n in count(1) if recall_at(each[:, :10], n) >= WANTED)
        error = shares.std() / len(shares) ** 0.5
        print(f"{name}: needs {needed} lists for {WANTED} of ten; standard error {error:.3f}")


def milliseconds(library: Library, queries: Vectors, depth: int, lists: int) -> float:
    """Return the CPU time of the median query that looks through so many lists."""
    index, taken = library.vectors.load(Kind.PHOTO).base, []
    assert isinstance(index, IvfIndex)
    for query in queries:
        started = time.process_time()
        index.probe(query[None], depth, probes=lists)
        taken.append(time.process_time() - started)
    return 1e3 * statistics.median(taken)


def others(
    library: Library, own: Mapping[Kind, TuningQueries], words: Mapping[str, Vectors]
) -> dict[str, Ranks]:
    """Return the ranks of the lists that hold what questions look for, that had no part."""
    texts = [own[Kind.TEXT].vectors, *words.values()]
    every = np.concatenate(texts)
    asking = {
        Kind.TEXT: TuningQueries(vectors=every, own=np.full(len(every), -1)),
        Kind.PHOTO: own[Kind.PHOTO],
    }
    found = library.vectors.ranks(Kind.PHOTO, asking)
    edges = np.cumsum([len(each) for each in texts])[:-1]
    split = np.split(found[Kind.TEXT], edges)
    named = dict(zip(["generic", *words], split, strict=True))
    return {**named, "photos": found[Kind.PHOTO]}


if __name__ == "__main__":
    main()
