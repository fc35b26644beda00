"""Index types: recall and latency with words and with photos that ask, memory, build and cold time.

    twinlens index PHOTOS... --library L        # some thousand real photos, once
    python benchmarks/index_types.py --library L --captions dev.jsonl --rows 100000
    python benchmarks/index_types.py --library L --captions dev.jsonl --rows 1000000
    python benchmarks/index_types.py --library L --captions dev.jsonl --rows 1000000 --double

The photos' vectors grow to as many as wanted (`benchmarks/grown.py`), in a library of their own.
Words ask as they do in a search, with the correction for hubness, photos without. Captions must not
be those of a bank: they had no part in any tuning. Latency is CPU time of one query on one thread,
so what else runs counts little. `--double` makes vectors of twice the length.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import matplotlib as mpl
import numpy as np
from grown import doubled, grown, likeness, twice
from numpy.typing import NDArray

import retrieval
from indexer.calibration.hubness import with_alpha
from indexer.calibration.reference_set import ReferenceSet
from indexer.catalog.changes import Transaction
from indexer.core.encoder import Vectors
from indexer.core.types import Hubness, Kind
from indexer.library.library import Library
from indexer.vectors.flat_index import filled
from indexer.vectors.ivf_index import IvfIndex, list_count
from indexer.vectors.nprobe_tuning import RecallTarget, TuningQueries, nearest
from indexer.vectors.segments import MERGED_ROWS, Segment, SegmentStore

mpl.use("Agg")
import matplotlib.pyplot as plt

K, QUERIES, RECALL = 10, 300, 0.95
FEW = 40  # for numpy, which takes a tenth of a second for a million
PROBES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128)


class Borrowed:
    """Names the model of another library and has its banks; embeds nothing."""

    image_size = 224

    def __init__(self, library: Library, *, double: bool) -> None:
        self.name, self.fingerprint = library.model, library.fingerprint
        self.dim = library.dim * (2 if double else 1)
        self.hubness = Hubness(k=library.catalog.facts().hubness_k)
        texts, photos = (
            library.normalizer.banks.of(Kind.TEXT),
            library.normalizer.banks.of(Kind.PHOTO),
        )
        if double:
            texts, photos = twice(texts), doubled(photos, seed=1)
        self._banks = ReferenceSet(photos=photos.astype(np.float16), texts=texts.astype(np.float16))

    def bank(self, kind: Kind) -> Vectors:
        """Return generic vectors. Shape (bank, dim)."""
        return self._banks.of(kind)

    def encode_images(self, images: object) -> Vectors:
        """Refuse: all is embedded."""
        raise NotImplementedError

    def encode_texts(self, texts: object) -> Vectors:
        """Refuse: all is embedded."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A type at one setting: recall by the kind of query, CPU milliseconds, and what it costs."""

    name: str
    setting: str
    recall: dict[Kind, float]
    milliseconds: dict[Kind, float]
    bytes: float
    build: float


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Queries of a kind as they ask, (queries, width), and their true answers, (queries, K)."""

    asking: TuningQueries
    truth: NDArray[np.int64]

    def first(self, count: int) -> Questions:
        """Return some of them."""
        asking = TuningQueries(vectors=self.asking.vectors[:count], own=self.asking.own[:count])
        return Questions(asking=asking, truth=self.truth[:count])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="of real photos")
    parser.add_argument("--captions", type=Path, help="pairs of other photos, as JSONL")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--alpha", type=float, default=0.5, help="share of hubness; builtin: 0.5")
    parser.add_argument("--plot", type=Path, help="write recall against latency, as PNG")
    parser.add_argument("--cold", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    faiss.omp_set_num_threads(1)
    if args.cold:
        ask_cold(args.cold)
        return
    with tempfile.TemporaryDirectory() as folder:
        home, words = Path(folder) / "library", captions(args)
        with (
            Library.open(args.library) as real,
            Library.create(home, Borrowed(real, double=args.double)) as library,
        ):
            fill(library, real, args)
            report(library, words, args)


def captions(args: argparse.Namespace) -> Vectors:
    """Embed one caption of each photo with the built-in model. Shape (captions, dim)."""
    rows = [json.loads(line)["captions"] for line in args.captions.open()]
    texts = [row[number % len(row)] for number, row in enumerate(rows)][:QUERIES]
    vectors = retrieval.load_encoder("builtin").encode_texts(texts)
    return twice(vectors) if args.double else vectors


def fill(library: Library, real: Library, args: argparse.Namespace) -> None:
    """Commit the grown vectors as segments; items are not needed to be searched."""
    photos = real.sample(Kind.PHOTO, args.rows, seed=0)
    print(f"{len(photos):,} real photos grow to {args.rows:,}", flush=True)
    vectors = grown(photos, args.rows, seed=0)
    print(likeness(photos, vectors, real.banks.of(Kind.TEXT)))
    store = SegmentStore(library.folder / "vectors", library.catalog.facts().width)
    for start in range(0, args.rows, MERGED_ROWS):
        some = vectors[start : start + MERGED_ROWS]
        rows = library.normalizer.stored(
            doubled(some, seed=start) if args.double else some, Kind.PHOTO
        )
        segment = Segment(
            kind=Kind.PHOTO,
            ids=np.arange(start + 1, start + 1 + len(rows)),
            vectors=rows.astype(np.float16),
        )
        first = library.catalog.facts().next_segment
        library.catalog.apply(Transaction(segments=store.write([segment], first)))


def report(library: Library, words: Vectors, args: argparse.Namespace) -> None:
    """Measure all types, print the table, and draw the plot."""
    segments = list(library.segments(0))
    rows = np.concatenate([segment.vectors for segment in segments])  # (n, width), ids from 1
    photos = library.normalizer.questions(Kind.PHOTO)[
        Kind.PHOTO
    ]  # they ask for others than themselves
    asked = {
        Kind.TEXT: TuningQueries(
            vectors=with_alpha(words, args.alpha), own=np.full(len(words), -1)
        ),
        Kind.PHOTO: TuningQueries(vectors=photos.vectors[:QUERIES], own=photos.own[:QUERIES]),
    }
    questions = {
        kind: Questions(asking=each, truth=nearest(segments, each, K))
        for kind, each in asked.items()
    }
    trials = [numpy_scan(rows, questions), *own(library, questions)]
    for key in (f"IVF{list_count(len(rows))},SQ8", *others(len(rows), rows.shape[1])):
        trials += list(of_faiss(key, rows, questions))
        print(f"  {key} measured", file=sys.stderr, flush=True)
    table(trials, len(rows))
    cold(library, words, args.alpha)
    if args.plot:
        plot(trials, args.plot, f"{len(rows):,} × {rows.shape[1]}")


def others(size: int, width: int) -> tuple[str, ...]:
    """Name types of FAISS to compare with; a graph takes too long to build for a million."""
    lists, pairs = list_count(size), -(-width // 16) * 8
    fast = (f"IVF{lists},PQ{pairs}x4fs,Refine(SQfp16)", f"IVF{lists},RaBitQfs,Refine(SQfp16)")
    return (*fast, "HNSW16,SQfp16") if size <= 100_000 else fast


def numpy_scan(rows: NDArray[np.float16], questions: dict[Kind, Questions]) -> Trial:
    """Compare with every row in float32."""
    started, wide = time.process_time(), rows.astype(np.float32)
    build = time.process_time() - started

    def search(query: Vectors) -> NDArray[np.int64]:
        scores = wide @ query[0]
        best = np.argpartition(-scores, K)[: K + 1]
        return best[np.argsort(-scores[best])] + 1

    few = {kind: each.first(FEW) for kind, each in questions.items()}
    return trial("numpy, every vector", "", search, few, wide.nbytes / len(wide), build)


def own(library: Library, questions: dict[Kind, Questions]) -> Iterator[Trial]:
    """Measure the exact index of a library, then its lists."""
    for aim in (RecallTarget(recall=1.0), RecallTarget(exact_rows=0)):
        started = time.process_time()
        library.tune(aim)
        build = time.process_time() - started
        index = library.vectors.load(Kind.PHOTO).base
        (file,) = (library.folder / "ann").glob("photo-*")
        size = file.stat().st_size / len(index)
        if not isinstance(index, IvfIndex):
            yield trial("twinlens, exact", "", found_by(index.search), questions, size, build)
            continue
        chosen = index.probes_for(K)
        for probes in sorted({*PROBES, chosen}):
            search = found_by(partial(index.probe, probes=probes))
            name = "twinlens, lists" + (" (chosen)" if probes == chosen else "")
            yield trial(name, f"{probes} of {index.lists}", search, questions, size, build)


def found_by(search: Callable[[Vectors, int], Any]) -> Callable[[Vectors], NDArray[np.int64]]:
    """Return a search that answers with ids."""
    return lambda query: np.array([hit.id for hit in search(query, K + 1)[0]], dtype=np.int64)


def of_faiss(
    key: str, rows: NDArray[np.float16], questions: dict[Kind, Questions]
) -> Iterator[Trial]:
    """Build an index of FAISS by its factory, and measure it at several settings."""
    started = time.process_time()
    wide = filled(rows)
    index = faiss.index_factory(wide.shape[1], key, faiss.METRIC_INNER_PRODUCT)
    inner = faiss.downcast_index(getattr(index, "base_index", index))
    if isinstance(inner, faiss.IndexIVF):
        inner.cp.max_points_per_centroid = 40
    index.train(wide[np.random.default_rng(0).permutation(len(wide))[: 40 * 2048]])
    index.add(wide)
    build = time.process_time() - started
    size = len(faiss.serialize_index(index)) / len(wide)
    for setting, params in settings(index, inner):

        def search(query: Vectors, params: Any = params) -> NDArray[np.int64]:
            return index.search(filled(query), K + 1, params=params)[1][0] + 1

        yield trial(key, setting, search, questions, size, build)


def settings(index: Any, inner: Any) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a type that are tried."""
    if isinstance(inner, faiss.IndexHNSW):
        for depth in (16, 32, 64, 128, 256, 512):
            yield f"ef {depth}", faiss.SearchParametersHNSW(efSearch=depth)
        return
    for probes in PROBES:
        lists = faiss.SearchParametersIVF(nprobe=probes)
        if not isinstance(index, faiss.IndexRefine):
            yield f"{probes} lists", lists
            continue
        for factor in (4, 16):
            refine = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=lists)
            yield f"{probes} lists, {factor} k", refine


def trial(
    name: str,
    setting: str,
    search: Callable[[Vectors], NDArray[np.int64]],
    questions: dict[Kind, Questions],
    size: float,
    build: float,
) -> Trial:
    """Ask every question, one at a time."""
    recall, milliseconds = {}, {}
    for kind, each in questions.items():
        shares, seconds = [], []
        for query, own, truth in zip(each.asking.vectors, each.asking.own, each.truth, strict=True):
            started = time.process_time()
            ids = search(query[None])
            seconds.append(time.process_time() - started)
            shares.append(np.isin(truth, ids[ids != own][:K]).mean())
        recall[kind] = float(np.mean(shares))
        milliseconds[kind] = 1e3 * float(np.median(seconds))
    return Trial(
        name=name,
        setting=setting,
        recall=recall,
        milliseconds=milliseconds,
        bytes=size,
        build=build,
    )


def table(trials: Sequence[Trial], size: int) -> None:
    """Print each type at its fastest setting that reaches the recall with words."""
    scan = trials[0].milliseconds[Kind.TEXT]
    print(
        f"\n| {size:,} vectors | setting | recall@10 words / photos | ms | × numpy | B | build s |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(each.name for each in trials):
        some = [each for each in trials if each.name == name]
        enough = [each for each in some if each.recall[Kind.TEXT] >= RECALL]
        best = min(enough or some[-1:], key=lambda each: each.milliseconds[Kind.TEXT])
        words, photos = best.recall[Kind.TEXT], best.recall[Kind.PHOTO]
        ms = best.milliseconds[Kind.TEXT]
        print(
            f"| {name} | {best.setting} | {words:.3f} / {photos:.3f} | {ms:.2f} | {scan / ms:.0f} "
            f"| {best.bytes:.0f} | {best.build:.0f} |"
        )


def cold(library: Library, words: Vectors, alpha: float) -> None:
    """Ask once in a new process: with the lists, then with the exact index."""
    np.save(library.folder / "cold.npy", with_alpha(words[:1], alpha))
    for name, aim in (("lists", library.vectors.aim()), ("exact", RecallTarget(recall=1.0))):
        library.tune(aim)
        command = [sys.executable, __file__, "--cold", str(library.folder)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        print(f"a cold search, {name}: {told.strip()}")


def ask_cold(folder: Path) -> None:
    """Open a library, search once, and print what that takes."""
    query = np.load(folder / "cold.npy")
    before = memory()
    started, cpu = time.perf_counter(), time.process_time()
    with Library.open(folder) as library:
        opened = time.perf_counter() - started
        library.search(query[:, :-1], Kind.PHOTO, K, alpha=-float(query[0, -1]))
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    own, mapped = (after - at for after, at in zip(memory(), before, strict=True))
    print(
        f"{1e3 * wall:.0f} ms ({1e3 * opened:.0f} of it to open the catalog), CPU {1e3 * cpu:.0f}; "
        f"{own:.0f} MB of memory and {mapped:.0f} MB of its files"
    )


def memory() -> tuple[float, float]:
    """Return MB of this process: its own, and of mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    own, mapped = (int(values[key].split()[0]) / 1e3 for key in ("RssAnon", "RssFile"))
    return own, mapped


def plot(trials: Sequence[Trial], path: Path, title: str) -> None:
    """Draw recall against latency, for words and for photos that ask."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    names = dict.fromkeys(each.name.removesuffix(" (chosen)") for each in trials)
    for axis, (kind, label) in zip(
        axes, ((Kind.TEXT, "words"), (Kind.PHOTO, "photos")), strict=True
    ):
        for name in names:
            some = [each for each in trials if each.name.removesuffix(" (chosen)") == name]
            points = frontier((each.milliseconds[kind], each.recall[kind]) for each in some)
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
        axis.set(xscale="log", xlabel="CPU ms a query, one thread", title=f"{label} ask, {title}")
        axis.axhline(RECALL, color="grey", linewidth=0.5)
        axis.set_ylim(0.8, 1.005)
    axes[0].set_ylabel("recall@10")
    axes[1].legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=120)


def frontier(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out settings that are slower than another one and find no more."""
    kept: list[tuple[float, float]] = []
    for milliseconds, recall in sorted(points):
        if not kept or recall > kept[-1][1]:
            kept.append((milliseconds, recall))
    return kept


if __name__ == "__main__":
    main()
