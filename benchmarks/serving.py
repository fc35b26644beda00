"""What a search, a thumbnail and a day cost a server over a library of 100,000 photos (Linux).

    python benchmarks/serving.py --pairs PHOTOS.jsonl
    python benchmarks/serving.py --pairs PHOTOS.jsonl --home DIR     # keeps the library in DIR

The first 500 photos of the file (lines of `image` and `captions`) are indexed. Their vectors are
grown to as many as wanted (see `grown.py`), with the patch tokens of the photo that each was grown
from, and dates, places and cameras as photos have them. Captions of other photos are the queries.
`twinlens serve` runs in a process of its own. Milliseconds of CPU are those of its threads as the
system counts them; a busy machine changes them less than it changes those of the clock. Prints one
JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from grown import grown
from growth import described, state_of
from PIL import Image

from indexer.catalog.changes import FileState
from indexer.core.encoder import Tokens, Vectors
from indexer.core.types import Kind
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from retrieval.api import PhotoLibrary

SEEDS, COMMIT, CLIENTS, LARGE = 500, 5_000, 8, 16
TWINLENS = (sys.executable, "-m", "retrieval.cli")
_SCHEDULED = 2  # of clock_getcpuclockid(3): all time on a processor, in nanoseconds
PAGE = Path(__file__).parents[1] / "retrieval" / "server" / "page"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True, metavar="JSONL")
    parser.add_argument("--photos", type=int, default=100_000, metavar="N")
    parser.add_argument("--searches", type=int, default=200, metavar="N", help="of each kind")
    parser.add_argument("--soak", type=int, default=3_000, metavar="N", help="searches of a day")
    parser.add_argument("--commits", type=int, default=96, metavar="N", help="beside these")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep the library here")
    asked = parser.parse_args()
    if asked.home:
        print(json.dumps(measured(asked.home, asked), indent=2))
        return
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measured(Path(home), asked), indent=2))


def measured(home: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Make the library, unless it is there, and measure a server over it."""
    lines = [json.loads(line) for line in asked.pairs.read_text().splitlines()]
    seeds = [asked.pairs.parent / line["image"] for line in lines[:SEEDS]]
    queries = [line["captions"][0] for line in lines[SEEDS : SEEDS + asked.searches]]
    library = home / "library"
    if not library.exists():
        make(home, seeds, asked.photos)
    figures: dict[str, Any] = {
        "photos": asked.photos,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}",
        "page_kb_gzipped": page_weight(),
        "command_line": command_line(library, queries[:5]),
        "python": in_process(library, queries),
    }
    with serving(library) as server:
        figures["idle_mb"] = server.memory()
        for name, more in (("rerank", "&rerank=true"), ("plain", "&rerank=false")):
            figures[f"search_{name}"] = searches(server, queries, more)
        figures["clients"] = clients(server, queries)
        figures["thumbnails"] = thumbnails(server, home)
        figures["after_mb"] = server.memory()
        figures["day"] = day(server, library, queries, asked.soak, asked.commits)
    return figures


# The library


def make(home: Path, seeds: Sequence[Path], count: int) -> None:
    """Index the seeds, and add as many photos as wanted that are grown from them."""
    folder = home / "seeds"
    folder.mkdir(parents=True)
    for number, seed in enumerate(seeds):
        (folder / f"{number:04}.jpg").write_bytes(seed.read_bytes())
    run("index", str(folder), "--library", str(home / "library"))
    with Library.open(home / "library") as library:
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        paths = [record.path for record in library.records(ids)]
        shape = library.patch_tokens.shape()
        assert shape is not None
        read = library.patch_tokens.read(ids, shape)
        tokens = np.stack([each for each in read if each is not None])
        vectors = grown(library.fetch(ids, Kind.PHOTO), len(ids) + count, seed=0)[len(ids) :]
        for start in range(0, count, COMMIT):
            numbers = range(start, min(start + COMMIT, count))
            files = [
                entry(home / "photos", number, paths, vectors[number], tokens, count)
                for number in numbers
            ]
            library.commit(IndexBatch(entries=files, roots=[home / "photos"] if not start else ()))
        library.refresh_index()


def entry(
    folder: Path,
    number: int,
    seeds: Sequence[Path],
    vector: Vectors,
    tokens: Tokens,
    count: int,
) -> BatchEntry:
    """Link to a seed, and describe it as the index line would a photo of its own."""
    path = folder / f"{number // 1_000:04}" / f"IMG_{number:07}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(seeds[number % len(seeds)], path)
    state = state_of(path, reader="serving")
    token = tokens[number % len(tokens)][None]
    about = described(number, count)
    return BatchEntry(state=state, texts=("",), vectors=vector[None], about=about, tokens=token)


# The server


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    port: int

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask once, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def told(self, path: str) -> Any:
        """Ask for JSON."""
        status, body = self.get(path)
        assert status == 200, (path, body)
        return json.loads(body)

    def cpu(self) -> float:
        """Return the milliseconds of CPU of its threads and of its decoders."""
        return sum(map(_cpu_ms, [self.pid, *_children(self.pid)]))

    def memory(self) -> dict[str, float]:
        """Return MB: all that is resident, and what is its own, without files that it maps."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        sizes = {name: int(size) for name, size in re.findall(r"(\w+):\s+(\d+) kB", status)}
        return {"resident": sizes["VmRSS"] / 1e3, "own": sizes["RssAnon"] / 1e3}

    def handles(self) -> int:
        """Count its open files."""
        return len([*Path(f"/proc/{self.pid}/fd").iterdir()])


def _cpu_ms(pid: int) -> float:
    """Return the milliseconds of CPU of a process, those of threads that have ended too."""
    try:
        return 1e3 * time.clock_gettime((~pid << 3) | _SCHEDULED)
    except OSError:  # it has just ended
        return 0.0


def _children(pid: int) -> list[int]:
    """Return the processes that one has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@contextmanager
def serving(library: Path) -> Iterator[Server]:
    """Start the server and wait until its models are loaded."""
    command = [*TWINLENS, "serve", "--port", "0", "--library", str(library)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        server = Server(process.pid, int(re.findall(r":(\d+)/", line)[0]))
        while server.get("/readyz")[0] != 200:
            time.sleep(0.2)
        server.told("/api/v1/search?q=a%20dog&limit=1")
        yield server
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()


# What is measured


def page_weight() -> dict[str, float]:
    """Return the KB of the page, each file gzipped: what the first view loads, and all there is."""
    every = {path for path in PAGE.rglob("*") if path.suffix in {".html", ".js", ".css"}}
    first, waiting = set[Path](), [PAGE / "index.html"]
    while waiting:
        path = waiting.pop()
        if path in every and path not in first:
            first.add(path)
            named = _LOADED.findall(path.read_text())
            waiting += [(path.parent / name.removeprefix("/page/")).resolve() for name in named]
    return {"first_view": _gzipped(first), "all": _gzipped(every)}


def _gzipped(paths: set[Path]) -> float:
    """Return the KB of files, each gzipped."""
    return sum(len(gzip.compress(path.read_bytes())) for path in paths) / 1e3


_LOADED = re.compile(r"""(?:^import[^;"']*|\bfrom |src=|href=)["']([^"']+\.(?:js|css))["']""", re.M)
"""A module or a style sheet that is loaded at once; `import(...)` waits until it is wanted."""


def command_line(library: Path, queries: Sequence[str]) -> dict[str, float]:
    """Search by the command line, each time in a process of its own."""
    for query in queries[:1]:
        run("search", query, "--library", str(library), "-f")
    cpu = [
        child_cpu_ms(lambda query=query: run("search", query, "--library", str(library), "-f"))
        for query in queries
    ]
    return {"cpu_ms": float(np.median(cpu))}


def child_cpu_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds of CPU of the processes that a function starts and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def in_process(library: Path, queries: Sequence[str]) -> dict[str, Any]:
    """Search in Python, with the model loaded: what the server adds is above this."""
    figures = {}
    with PhotoLibrary.open(library, create=False) as opened:
        for name, rerank in (("rerank", True), ("plain", False)):
            opened.search("a dog", k=60, rerank=rerank)
            spent = []
            for query in queries:
                before = time.process_time()
                opened.search(opened.query(query), k=60, rerank=rerank)
                spent.append(1e3 * (time.process_time() - before))
            figures[f"{name}_cpu_ms"] = spread(spent)
    return figures


def searches(server: Server, queries: Sequence[str], more: str) -> dict[str, Any]:
    """Search one after the other."""
    cpu, wall = [], []
    for query in queries:
        before, begun = server.cpu(), time.perf_counter()
        server.told(f"/api/v1/search?q={quote(query)}&limit=60{more}")
        wall.append(1e3 * (time.perf_counter() - begun))
        cpu.append(server.cpu() - before)
    return {"cpu_ms": spread(cpu), "wall_ms": spread(wall)}


def clients(server: Server, queries: Sequence[str]) -> dict[str, Any]:
    """Search with one client, then with several at once, each on its own."""

    def client(_: int) -> list[float]:
        taken = []
        for query in queries[: len(queries) // 4]:
            begun = time.perf_counter()
            status, _ = server.get(f"/api/v1/search?q={quote(query)}&limit=60")
            taken.append(1e3 * (time.perf_counter() - begun) if status == 200 else np.nan)
        return taken

    one, before = np.array(client(0)), server.memory()["own"]
    with ThreadPoolExecutor(CLIENTS) as pool:
        every = np.array([*pool.map(client, range(CLIENTS))]).ravel()
    p95 = float(np.nanpercentile(every, 95))
    return {
        "errors": int(np.isnan(every).sum()),
        "one_wall_ms": spread(one.tolist()),
        "wall_ms": spread(every[~np.isnan(every)].tolist()),
        "p95_of_one": p95 / float(np.nanpercentile(one, 95)),
        "own_mb_more": server.memory()["own"] - before,
    }


def thumbnails(server: Server, home: Path) -> dict[str, Any]:
    """Make thumbnails of photos of 12 megapixels; then ask for small ones that are kept."""
    rng, folder = np.random.default_rng(0), home / "large"
    if not folder.exists():
        folder.mkdir()
        seeds = sorted((home / "seeds").iterdir())[:LARGE]
        for number, seed in enumerate(seeds):
            photo = Image.open(seed).resize((4000, 3000), Image.Resampling.BICUBIC)
            grain = rng.normal(0, 4, (3000, 4000, 1)).astype(np.int16)
            pixels = (np.asarray(photo).astype(np.int16) + grain).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)
        run("index", str(folder), "--library", str(home / "library"))
    (home / "library" / "thumbnails.sqlite").unlink(missing_ok=True)
    large = server.told(f"/api/v1/search?q=in:{quote(str(folder))}&limit=60")["hits"]
    assert len(large) == LARGE, len(large)
    figures: dict[str, Any] = {"mb_a_photo": (folder / "0.jpg").stat().st_size / 1e6}
    server.get(f"{large[0]['thumb']}&size=256")  # starts a decoder
    for size in (256, 1024):
        before = server.cpu()
        for hit in large[1:]:
            assert server.get(f"{hit['thumb']}&size={size}")[0] == 200
        figures[f"fresh_{size}_cpu_ms"] = (server.cpu() - before) / (LARGE - 1)
    return figures | kept(server)


def kept(server: Server) -> dict[str, float]:
    """Ask for small thumbnails that are kept, over a few connections, as a browser does."""
    hits = server.told("/api/v1/search?q=camera:x100v&limit=500")["hits"]
    paths = [f"{hit['thumb']}&size=256" for hit in hits]
    for path in paths:
        server.get(path)

    def ask(part: Sequence[str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for path in part:
            connection.request("GET", path)
            assert connection.getresponse().read()
        connection.close()

    before, begun = server.cpu(), time.perf_counter()
    with ThreadPoolExecutor(6) as pool:
        [*pool.map(ask, [paths[number::6] * 2 for number in range(6)])]
    count = 2 * len(paths)
    wall = time.perf_counter() - begun
    return {"kept_cpu_ms": (server.cpu() - before) / count, "kept_a_second": count / wall}


def day(
    server: Server, library: Path, queries: Sequence[str], count: int, commits: int
) -> dict[str, Any]:
    """Search as often as in a day, while another process commits; compare the halves."""
    ended, every = threading.Event(), max(1, count // max(1, commits))
    turn = threading.Semaphore(0)
    writer = threading.Thread(target=commit_beside, args=(library, turn, ended))
    writer.start()
    marks: list[tuple[float, int]] = []
    try:
        for number in range(count):
            query = f"{queries[number % len(queries)]} {number // len(queries) or ''}"
            hits = server.told(f"/api/v1/search?q={quote(query)}&limit=20&threshold=0")["hits"]
            server.get(f"{hits[number % len(hits)]['thumb']}&size=256")
            if number % every == every - 1:
                turn.release()
                marks.append((server.memory()["own"], server.handles()))
    finally:
        ended.set()
        turn.release()
        writer.join()
    memory = np.array([own for own, _ in marks])
    fifth = max(1, len(marks) // 5)
    return {
        "searches": count,
        "commits": len(marks),
        "own_mb": [round(float(each.mean()), 1) for each in np.array_split(memory, 5)],
        "own_mb_grown": float(memory[-fifth:].mean() - memory[fifth : 2 * fifth].mean()),
        "handles": [min(each for _, each in marks), max(each for _, each in marks)],
        "handles_last": marks[-1][1],
    }


def commit_beside(library: Path, turn: threading.Semaphore, ended: threading.Event) -> None:
    """Commit one photo at each turn, as `twinlens watch` does, and drop it at the next."""
    rng, folder = np.random.default_rng(1), library.parent / "beside"
    folder.mkdir(exist_ok=True)
    with Library.open(library) as opened:
        for number in range(1 << 30):
            turn.acquire()
            if ended.is_set():
                break
            path = folder / f"{number}.jpg"
            Image.new("RGB", (64, 64), tuple(rng.integers(0, 256, 3).tolist())).save(path)
            vector = rng.standard_normal(opened.dim).astype(np.float32)
            state = FileState(
                path=path,
                kind=Kind.PHOTO,
                size=path.stat().st_size,
                mtime_ns=path.stat().st_mtime_ns,
                digest=blake2b(path.read_bytes(), digest_size=16).digest(),
                reader="serving",
            )
            one = BatchEntry(
                state=state, texts=("",), vectors=vector[None] / np.linalg.norm(vector)
            )
            opened.commit(IndexBatch(entries=[one], roots=[folder]))
            opened.refresh_index()


# Plain parts


def run(*arguments: str) -> None:
    """Run a command; codes 3 and 4 are of results, not of failures."""
    done = subprocess.run([*TWINLENS, *arguments], capture_output=True, text=True)
    assert done.returncode in (0, 3, 4), done.stderr


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile."""
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}


if __name__ == "__main__":
    main()
