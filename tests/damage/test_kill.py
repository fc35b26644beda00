"""Killed at any step, a library loses at most the batch in flight.

A child process indexes and kills itself (SIGKILL: nothing is tidied up) at one named step; the
parent then checks the library, sees that all that was committed is there, and completes the run.
The steps are patched into the child; the product knows nothing of them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.types import Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check
from tests.fakes import ColourEncoder

ROOT = Path(__file__).parents[2]
PHOTOS = 48
ENCODER = ColourEncoder()
OPTIONS = IndexOptions(batch_size=4, commit_every=8, threads=1)

STEPS = {
    "the catalog of a new library is half made": "indexer.catalog.writer:_write_meta:before:1",
    "a segment is half written": "pathlib:Path.write_bytes:half:3",
    "a segment is written, not synced": "indexer.core.atomic_io:_sync:before:7",
    "a segment has no name yet": "pathlib:Path.replace:before:4",
    "a segment has its name": "pathlib:Path.replace:after:4",
    "before a commit": "indexer.catalog.writer:CatalogWriter.apply:before:3",
    "in a commit, files added": "indexer.catalog.file_rows:add:after:3",
    "in a commit, segment named": "indexer.catalog.file_rows:set_roots:before:3",
    "in a commit, at its end": "indexer.catalog.writer:_count_up:after:9",
    "after a commit": "indexer.catalog.writer:CatalogWriter.apply:after:3",
    "before segments are merged": "indexer.vectors.segments:SegmentStore.joined:before:1",
    "merged segments are not named": "indexer.catalog.writer:CatalogWriter.merge:before:1",
    "merged segments are named": "indexer.catalog.writer:CatalogWriter.merge:after:1",
    "the saved index is half written": "indexer.vectors.flat_index:MutableFlatIndex.save:before:1",
    "the saved index is not named": "indexer.catalog.writer:CatalogWriter.rebase:before:1",
    "the saved index is named": "indexer.catalog.writer:CatalogWriter.rebase:after:1",
    "leftovers are half swept": "pathlib:Path.unlink:after:6",
}
"""What has happened when the process dies: a function, before, after or half way, which call."""

NURSERY = '''
import os, signal, sys
from functools import wraps
from importlib import import_module
from pathlib import Path

from tests.damage.test_kill import ENCODER, OPTIONS, Library, index_folders


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def patch(step):
    """Make one call of a function the last thing that this process does."""
    module, name, when, number = step.split(":")
    home = import_module(module)
    *owner, name = name.split(".")
    home = getattr(home, owner[0]) if owner else home
    real, left = getattr(home, name), [int(number)]

    @wraps(real)
    def last(*args, **named):
        left[0] -= 1
        if left[0]:
            return real(*args, **named)
        if when == "half":
            path, data = args
            real(path, data[: len(data) // 2])
        elif when == "after":
            real(*args, **named)
        die()

    setattr(home, name, last)


for line in sys.stdin:
    library, photos, step = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if not child:
        patch(step)
        with Library.open_or_create(Path(library), ENCODER) as opened:
            index_folders(opened, ENCODER, [Path(photos)], options=OPTIONS)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
'''


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photos, no two alike."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process with everything imported and one thread, that forks a child for each step."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", NURSERY]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(command, env=env, **pipes) as process:
        yield process
        process.stdin.close()


def _die_at(nursery: subprocess.Popen[str], library: Path, photos: Path, step: str) -> None:
    """Index in a child that dies at a step; it must get there."""
    nursery.stdin.write(f"{library}\t{photos}\t{step}\n")
    assert int(nursery.stdout.readline()) == -signal.SIGKILL, "the step was not reached"


def _held(folder: Path) -> dict[str, int]:
    """The photos that a search finds, by name, once the library was found to be whole."""
    assert [finding for finding in check(folder) if finding.grave] == []
    with Library.open(folder) as library:
        (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 2 * PHOTOS)
        records = library.records([hit.id for hit in hits])
        assert len(records) == len(hits) == library.counts()[Kind.PHOTO]
    held = {record.path.name: record.id for record in records}
    assert len(held) == len(hits), "a photo is there twice"
    return held


def _complete(folder: Path, photos: Path, kept: dict[str, int]) -> None:
    """The next run adds what is missing, and nothing that was kept is embedded again."""
    with Library.open_or_create(folder, ENCODER) as library:
        report = index_folders(library, ENCODER, [photos], options=OPTIONS)
    assert (report.photos, report.unchanged) == (PHOTOS - len(kept), len(kept))
    held = _held(folder)
    assert held.keys() == {path.name for path in photos.iterdir()}
    assert kept.items() <= held.items()
    assert check(folder) == []


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_killed_at_a_step(
    nursery: subprocess.Popen[str], tmp_path: Path, photos: Path, step: str
) -> None:
    folder = tmp_path / "library"
    _die_at(nursery, folder, photos, step)
    kept = _held(folder) if (folder / "catalog.sqlite").exists() else {}
    _complete(folder, photos, kept)


def test_what_was_committed_before_the_kill_is_kept(
    nursery: subprocess.Popen[str], tmp_path: Path, photos: Path
) -> None:
    folder = tmp_path / "library"
    # The first commit of the first run names the folder; each other one adds 8 photos.
    for step, kept in (("before:4", 16), ("after:2", 32), ("before:2", 40)):
        _die_at(nursery, folder, photos, f"indexer.catalog.writer:CatalogWriter.apply:{step}")
        assert len(_held(folder)) == kept
    _complete(folder, photos, _held(folder))


SCRIPT = """
import sys
from pathlib import Path
from tests.damage.test_kill import ENCODER, OPTIONS, Library, index_folders

with Library.open_or_create(Path(sys.argv[1]), ENCODER) as library:
    index_folders(library, ENCODER, [Path(sys.argv[2])], options=OPTIONS,
                  progress=lambda progress: print(progress.photos, flush=True))
"""


def test_killed_at_random_again_and_again(tmp_path: Path, photos: Path) -> None:
    folder, rng = tmp_path / "library", random.Random(0)
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    kept: dict[str, int] = {}
    for embedded in (4, 16, 32):
        command = [sys.executable, "-c", SCRIPT, folder, photos]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as process:
            for line in process.stdout:
                if int(line) + len(kept) >= embedded:
                    break
            time.sleep(rng.random() / 50)  # up to 20 ms: two commits
            process.kill()
        now = _held(folder)
        assert kept.items() <= now.items()
        kept = now
    _complete(folder, photos, kept)
