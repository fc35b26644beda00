"""The pass that reads the text of photos: it can be stopped, and goes on where it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.core.encoder import Tokens, TokenShape
from indexer.core.errors import UsageError
from indexer.core.types import Kind
from indexer.ingest import reading
from indexer.ingest.reading import CHANGED, ReadingOptions, ReadingProgress, read_photos
from indexer.library.library import Library
from tests.drawn_text import Style, page
from tests.fakes import ColourEncoder, draw
from tests.indexer.ingest.runs import index

pytest.importorskip("rapidocr", reason="the extra ocr is not installed")

SHOWN = {"invoice": "Invoice 20415", "ticket": "Boarding pass Lisbon"}


@dataclass
class Gate:
    """Lets photos through whose first token is not zero."""

    shape: TokenShape

    def passes(self, tokens: Tokens) -> NDArray[np.bool_]:
        passes: NDArray[np.bool_] = tokens[:, 0, 0] != 0
        return passes


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Two photos with text, one without, a broken one and a text file."""
    photos = tmp_path / "photos"
    draw(photos / "plain.png", "red")
    for name, line in SHOWN.items():
        page([line], Style(size=40), size=(700, 200)).save(photos / f"{name}.png")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (photos / "notes.txt").write_text("a red car\n")
    with Library.create(tmp_path / "library", ColourEncoder()) as library:
        index(library, photos)
        yield library


def _found(library: Library, words: str) -> list[str]:
    ids = [id_ for id_, _ in library.word_matches(words, Kind.PHOTO, 9)]
    return [record.path.stem for record in library.records(ids)]


def test_it_reads_every_photo_once(library: Library) -> None:
    told: list[ReadingProgress] = []
    report = read_photos(library, progress=told.append)
    assert (report.photos, report.looked_at, report.with_text, report.skipped) == (3, 3, 2, ())
    assert [(each.done, each.total) for each in told] == [(1, 3), (2, 3), (3, 3)]
    assert (_found(library, "boarding"), _found(library, "20415")) == (["ticket"], ["invoice"])
    assert read_photos(library).photos == 0
    again = read_photos(library, options=ReadingOptions(again=True))
    assert (again.photos, again.with_text) == (3, 2)


def test_it_goes_on_where_it_was_stopped(library: Library, tmp_path: Path) -> None:
    class Stopped(Exception):
        """As Ctrl-C would."""

    def stop(step: ReadingProgress) -> None:
        if step.done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        read_photos(library, options=ReadingOptions(commit_every=1, threads=1), progress=stop)
    rest = read_photos(library)
    assert 1 <= rest.photos < 3
    assert _found(library, "lisbon") == ["ticket"]
    only = read_photos(library, [tmp_path / "elsewhere"], options=ReadingOptions(again=True))
    assert only.photos == 0


def test_a_gate_keeps_photos_from_being_read(library: Library) -> None:
    ids = {each.path.stem: each.item for each in library.catalog.unread("rapidocr")}
    library.patch_tokens.write([ids["invoice"]], np.ones((1, 2, 3), np.float32))
    library.patch_tokens.write([ids["plain"]], np.zeros((1, 2, 3), np.float32))
    report = read_photos(library, gate=Gate(TokenShape(tokens=2, width=3)))
    # One without tokens is read all the same.
    assert (report.photos, report.looked_at, report.with_text) == (3, 2, 2)
    assert read_photos(library, gate=Gate(TokenShape(tokens=2, width=3))).photos == 0


def test_a_file_that_changed_or_went_is_skipped_and_listed(
    library: Library, tmp_path: Path
) -> None:
    os.utime(tmp_path / "photos" / "plain.png", ns=(1, 1))
    (tmp_path / "photos" / "ticket.png").unlink()
    report = read_photos(library)
    reasons = {skip.path.stem: skip.reason for skip in report.skipped}
    assert reasons == {"plain": CHANGED, "ticket": "no such file or directory"}
    assert (report.with_text, _found(library, "invoice")) == (1, ["invoice"])


def test_a_photo_that_is_removed_meanwhile_is_not_stored(library: Library, tmp_path: Path) -> None:
    def forget(step: ReadingProgress) -> None:
        if step.done == step.total:
            with Library.open(library.folder) as other:
                other.forget(tmp_path / "photos" / "ticket.png")

    assert read_photos(library, progress=forget).with_text == 2
    assert (_found(library, "boarding"), _found(library, "invoice")) == ([], ["invoice"])


def test_without_the_package_it_says_what_to_install(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.media.picture_text.PACKAGE", "rapidocr_that_is_missing")
    with pytest.raises(UsageError, match=r"pip install 'twinlens\[ocr\]'"):
        reading.read_photos(library)
