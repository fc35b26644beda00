"""No command that writes leaves a library that `check` faults, nor a file that others may read."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.ingest.reindex import reindex
from indexer.library.library import Library
from indexer.library.verify import check
from indexer.vectors.nprobe_tuning import RecallTarget
from tests.fakes import COLOURS, GENERIC, ColourEncoder, draw


class Life:
    """A library, its photos, and what happens to them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.library = folder / "photos", folder / "library"
        self.encoder = ColourEncoder(generic=GENERIC)
        for number, colour in enumerate(COLOURS):
            place = "usb" if number % 2 else "Ünï 東京"
            draw(self.root / place / f"{colour}.png", colour)
        (self.root / "notes.txt").write_text("a red car\n東京 tower\n", "utf-8")
        (self.root / "broken.jpg").write_bytes(b"\xff\xd8\xffjunk")
        (self.root / "link.jpg").symlink_to("nowhere")

    def index(self, *, prune: bool = False) -> None:
        with Library.open_or_create(self.library, self.encoder) as library:
            index_folders(library, self.encoder, [self.root], options=IndexOptions(prune=prune))

    def touch(self) -> None:
        for path in self.root.rglob("*.png"):
            os.utime(path)
        self.index()

    def unplug(self) -> None:
        (self.root / "usb").rename(self.root.parent / "away")
        (self.root / "usb").mkdir()
        self.index()
        with Library.open(self.library) as library:
            assert len(library.catalog.missing()) == 4

    def plug(self) -> None:
        (self.root / "usb").rmdir()
        (self.root.parent / "away").rename(self.root / "usb")
        self.index()

    def move_root(self) -> None:
        old, self.root = self.root, self.root.with_name("moved")
        old.rename(self.root)
        with Library.open(self.library) as library:
            library.move_root(old, self.root)

    def forget_part(self) -> None:
        with Library.open(self.library) as library:
            library.forget(self.root / "usb")

    def reindex(self) -> None:
        self.encoder = ColourEncoder(fingerprint="0ther", generic=GENERIC)
        reindex(self.library, self.encoder)

    def prune(self) -> None:
        shutil.rmtree(self.root / "usb")
        self.index(prune=True)

    def tune(self) -> None:
        with Library.open(self.library) as library:
            library.tune(RecallTarget())


def test_check_finds_nothing_whatever_was_done(tmp_path: Path) -> None:
    life = Life(tmp_path)
    steps: list[Callable[[], None]] = [
        *(life.index, life.index, life.touch, life.unplug, life.plug, life.move_root, life.index),
        *(life.forget_part, life.index, life.reindex, life.index, life.prune, life.tune),
    ]
    for step in steps:
        step()
        files = [life.library, *life.library.rglob("*")]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in files}
        assert (check(life.library), modes) == ([], {0o700, 0o600}), step.__name__
