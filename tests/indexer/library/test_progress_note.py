"""How far a run is, as other processes read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.progress_note import (
    NOTE,
    STALE_SECONDS,
    ProgressNote,
    RunProgress,
    run_progress,
)
from tests.fakes import ColourEncoder, draw


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes are written each time."""
    monkeypatch.setattr("indexer.library.progress_note.EVERY_SECONDS", 0.0)


def test_a_run_says_how_far_it_is(library: Library, tmp_path: Path, often: None) -> None:
    for number, colour in enumerate(("red", "green", "blue")):
        draw(tmp_path / "photos" / f"{number}.png", colour)
    seen: list[RunProgress | None] = []
    index_folders(
        library,
        ColourEncoder(),
        [tmp_path / "photos"],
        options=IndexOptions(batch_size=1, commit_every=1),
        progress=lambda _: seen.append(run_progress(library.folder)),
    )
    assert {each.pid for each in seen if each} == {os.getpid()}
    last = seen[-1]
    assert last is not None
    assert (last.met, last.files, last.photos, last.texts, last.skipped) == (3, 3, 3, 0, 0)
    assert last.rate == pytest.approx(3 / last.seconds)
    assert 0 < time.time() - last.since < 60
    assert run_progress(library.folder) is None
    assert not list(library.folder.glob(f"{NOTE}*"))


def test_a_run_that_fails_leaves_no_note(library: Library, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "a.png", "red")

    def fail(_: object) -> None:
        assert (library.folder / NOTE).exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_folders(library, ColourEncoder(), [tmp_path / "photos"], progress=fail)
    assert not list(library.folder.glob(f"{NOTE}*"))


def test_a_note_is_private_and_written_once_a_second(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with ProgressNote(tmp_path) as note:
        note.write(photos=5)
        told = run_progress(tmp_path)
        assert told is not None
        assert told.photos == 0
        assert (tmp_path / NOTE).stat().st_mode & 0o777 == 0o600


def test_a_killed_run_is_none_and_the_next_writer_sweeps(library: Library) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (library.folder / NOTE).write_text(json.dumps({"pid": dead.pid, "since": time.time()}))
    (library.folder / f"{NOTE}.part").write_text("")
    assert run_progress(library.folder) is None
    with library.writing():
        assert not list(library.folder.glob(f"{NOTE}*"))


def test_a_run_that_says_nothing_for_long_is_over(tmp_path: Path) -> None:
    path = tmp_path / NOTE
    path.write_text(json.dumps({"pid": os.getpid(), "since": 1.0}))
    assert run_progress(tmp_path) == RunProgress(pid=os.getpid(), since=1.0)
    before = time.time() - STALE_SECONDS - 1
    os.utime(path, (before, before))
    assert run_progress(tmp_path) is None


@pytest.mark.parametrize(
    "written",
    ["", "{", "[]", "7", '{"pid": "1"}', '{"pid": 1}', '{"pid": 1, "since": 1, "more": 2}',
     '{"pid": -1, "since": 1}', '{"pid": 1e14, "since": 1}', '{"pid": NaN, "since": 1}',
     "x" * 10_000],
)  # fmt: skip
def test_what_is_no_note_is_none(tmp_path: Path, written: str) -> None:
    (tmp_path / NOTE).write_text(written)
    assert run_progress(tmp_path) is None


def test_a_disk_that_refuses_costs_the_note_alone(as_a_user: Path) -> None:
    as_a_user.chmod(0o500)
    with ProgressNote(as_a_user) as note:
        note.write(photos=1)
    assert run_progress(as_a_user) is None
