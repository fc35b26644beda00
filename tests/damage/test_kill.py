"""A process killed at any moment leaves a library that the next run completes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.build import IndexOptions, index_folders
from indexer.library import Library
from indexer.types import Kind
from tests.fakes import ColourEncoder

ROOT = Path(__file__).parents[2]
PHOTOS = 300

SCRIPT = """
import sys
from pathlib import Path
from indexer.build import IndexOptions, index_folders
from indexer.library import Library
from tests.fakes import ColourEncoder

encoder = ColourEncoder()
options = IndexOptions(batch_size=4, commit_every=8)
with Library.open_or_create(Path(sys.argv[1]), encoder) as library:
    index_folders(library, encoder, [Path(sys.argv[2])], options=options,
                  progress=lambda progress: print(progress.photos, flush=True))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small JPEGs, no two alike."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg")
    return folder


def _kill_at(library: Path, photos: Path, embedded: int) -> None:
    """Index in another process and kill it once it has embedded so many photos."""
    command = [sys.executable, "-c", SCRIPT, str(library), str(photos)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= embedded:
                break
        time.sleep(embedded % 7 / 1000)  # not always at the same step of a commit
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL


def test_killed_again_and_again_each_photo_is_there_once(tmp_path: Path, photos: Path) -> None:
    encoder, folder = ColourEncoder(), tmp_path / "library"
    for embedded in (20, 61, 102):
        _kill_at(folder, photos, embedded)
        with Library.open(folder) as library:  # what was committed answers at once
            held = library.counts()[Kind.PHOTO]
            (hits,) = library.search(encoder.encode_texts(["red"]), Kind.PHOTO, PHOTOS)
            assert len({hit.id for hit in hits}) == len(hits) == held
            assert len(library.records([hit.id for hit in hits])) == held
    with Library.open(folder) as library:
        report = index_folders(library, encoder, [photos], options=IndexOptions(commit_every=50))
        assert report.unchanged >= 8
        assert report.photos + report.unchanged == PHOTOS
        (hits,) = library.search(encoder.encode_texts(["red"]), Kind.PHOTO, 2 * PHOTOS)
        names = [record.path.name for record in library.records([hit.id for hit in hits])]
        assert sorted(names) == [f"{number:03}.jpg" for number in range(PHOTOS)]
        segments = {f"{number:06d}.safetensors" for number in library.catalog.segment_numbers()}
        assert {path.name for path in (folder / "vectors").iterdir()} == segments
