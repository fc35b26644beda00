"""Files written for a person: whole or not at all, on a full disk, too."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from indexer.core.atomic_io import replacing
from indexer.core.errors import TwinlensError
from indexer.core.types import Skip
from retrieval import output_files
from retrieval._enums import WeightStorage
from retrieval.contact_sheet import write_contact_sheet
from retrieval.output_files import free_names, place, write_json, written
from retrieval.training.data.skipped_pairs import SkippedPairs
from retrieval.training.finetune.weight_averaging import write_blend
from retrieval.training.plots import draw_curves
from tests.fakes import draw
from tests.retrieval.cli.test_two_writers import COMMAND, ROOT
from tests.tiny import tiny_model

FULL = "cannot write .*(no space left|disk quota|file too large)"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 100 KB, nearly full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here: that takes root and the right to mount")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path, left: int) -> None:
    """Leave so many bytes free, to a page."""
    stat = os.statvfs(disk)
    (disk / "filler").write_bytes(b"\0" * max(0, stat.f_bavail * stat.f_bsize - left))


def break_off(writing: AbstractContextManager[Path], error: type[Exception]) -> None:
    """Fail half way."""
    with writing as part:
        part.write_text("half")
        raise error


def left_on(disk: Path) -> list[str]:
    return sorted(path.name for path in disk.rglob("*") if path.name != "filler")


def test_a_file_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyError):
        break_off(written(path), KeyError)
    assert (path.read_text(), left_on(tmp_path)) == ("old", ["a"])
    write_json(path, {"new": 1})
    assert json.loads(path.read_text()) == {"new": 1}
    assert left_on(tmp_path) == ["a"]


def test_rights_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_json(tmp_path / "ours", {})
    place(tmp_path, "placed", lambda part: part.write_text("x"))
    usual, *ours = ((tmp_path / name).stat().st_mode for name in ("usual", "ours", "placed"))
    assert ours == [usual, usual]


@pytest.mark.parametrize("links", [True, False])
def test_a_taken_name_gets_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(*_: object) -> None:  # as on FAT
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(output_files.os, "link", no_links)
    made = [place(tmp_path, "a.b.jpg", lambda part: part.write_text("x")).name for _ in range(3)]
    assert made == ["a.b.jpg", "a.b-2.jpg", "a.b-3.jpg"]
    assert left_on(tmp_path) == sorted(made)


@pytest.mark.parametrize("name", ["x" * 251 + ".jpg", "é" * 125 + ".jpg", "日" * 83 + ".jpg"])
def test_a_long_name_gets_a_number_too(tmp_path: Path, name: str) -> None:
    made = {place(tmp_path, name, lambda part: part.write_text("x")).name for _ in range(3)}
    assert len(made) == 3
    assert next(free_names(tmp_path, name)).name == name


def test_a_full_disk_leaves_no_half_of_a_page(small_disk: Path) -> None:
    write_contact_sheet([], small_disk / "sheet.html", title="old")
    old = (small_disk / "sheet.html").read_bytes()
    fill(small_disk, 4096)
    with pytest.raises(TwinlensError, match=FULL):
        write_contact_sheet([], small_disk / "sheet.html", title="new" * 9_000)
    assert (small_disk / "sheet.html").read_bytes() == old
    assert left_on(small_disk) == ["sheet.html"]


def test_a_full_disk_leaves_no_half_of_the_curves(small_disk: Path) -> None:
    fill(small_disk, 4096)
    with pytest.raises(TwinlensError, match=FULL):
        draw_curves([{"step": n, "loss": 1.0 / (n + 1)} for n in range(9)], small_disk / "a.png")
    assert left_on(small_disk) == []


def test_a_full_disk_leaves_no_half_of_a_list(small_disk: Path, tmp_path: Path) -> None:
    skips = SkippedPairs(small_disk, lambda _: None)
    skips.add([Skip(path=tmp_path, reason="first")])
    before = (small_disk / "skipped.jsonl").read_bytes()
    fill(small_disk, 0)
    with pytest.raises(TwinlensError, match=r"cannot write .*skipped\.jsonl"):
        skips.add(Skip(path=tmp_path / str(n), reason="x" * 99) for n in range(999))
    assert (small_disk / "skipped.jsonl").read_bytes() == before


def test_a_full_disk_leaves_no_half_of_a_model(small_disk: Path, tmp_path: Path) -> None:
    for seed in range(2):
        tiny_model(tmp_path / f"{seed}", seed)
    fill(small_disk, 4096)
    specs = [str(tmp_path / f"{seed}") for seed in range(2)]
    with pytest.raises(TwinlensError, match="cannot write"):
        write_blend(specs, [0.5, 0.5], small_disk / "out", WeightStorage.FLOAT16)
    assert left_on(small_disk) == ["out"]


def test_other_errors_of_writers_leave_no_part(tmp_path: Path) -> None:
    # FAISS, OpenVINO and safetensors raise errors of their own for a full disk.
    with pytest.raises(RuntimeError):
        break_off(replacing(tmp_path / "a"), RuntimeError)
    assert left_on(tmp_path) == []


def limited(*args: object, kilobytes: int) -> subprocess.CompletedProcess[str]:
    """Run a command that may write files of so many KB at most."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes} << 10,) * 2)"
    return subprocess.run(
        [sys.executable, "-c", f"{limit}\n{COMMAND}", *map(str, args)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def exported(tmp_path: Path) -> tuple[Path, Path]:
    """A library of a small and a large photo."""
    photos = tmp_path / "photos"
    draw(photos / "a.bmp", "red", size=(20, 20))
    draw(photos / "b.bmp", "red", "red", "white", size=(200, 200))  # 120 KB
    library = tmp_path / "library"
    done = limited("index", photos, "--library", library, kilobytes=1 << 20)
    assert done.returncode == 0, done.stderr
    return photos, library


def test_export_onto_a_full_disk_leaves_whole_photos_alone(
    small_disk: Path, tmp_path: Path
) -> None:
    photos, library = exported(tmp_path)
    done = limited(
        "export", "red", "--no-words", "--library", library, "--to", small_disk, kilobytes=1 << 20
    )
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "no space left on device; free some space" in done.stderr
    assert "1 file was written completely before" in done.stderr
    assert left_on(small_disk) == ["a.bmp"]
    assert (small_disk / "a.bmp").read_bytes() == (photos / "a.bmp").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
def test_export_under_a_limit_leaves_whole_photos_alone(tmp_path: Path) -> None:
    photos, library = exported(tmp_path)
    out = tmp_path / "out"
    done = limited("export", "red", "--no-words", "--library", library, "--to", out, kilobytes=64)
    assert (done.returncode, left_on(out)) == (1, ["a.bmp"])
    assert "file too large" in done.stderr
    assert (out / "a.bmp").read_bytes() == (photos / "a.bmp").read_bytes()


def _killed(folder: Path) -> Path:
    """Let a process die while it writes into a folder; return what it leaves."""
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom retrieval.output_files import written\n"
        "with written(Path(sys.argv[1]) / 'new.txt') as part:\n"
        "    part.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script, folder], env=environment, check=False)
    (left,) = folder.glob(".twinlens-*.part")
    return left


@pytest.mark.skipif(sys.platform == "win32", reason="no locks here")
def test_what_a_killed_process_left_is_deleted(tmp_path: Path) -> None:
    left = _killed(tmp_path)
    theirs = [tmp_path / name for name in (".twinlens-mine.part", ".twinlens-0123456789abcdef")]
    for path in theirs:
        path.write_text("a file of the user")
    os.mkfifo(tmp_path / ".twinlens-0123456789abcdef.part")
    with written(tmp_path / "busy.txt") as busy:  # written by this process now
        output_files._sweep.cache_clear()
        place(tmp_path, "other.txt", lambda part: part.write_text("whole"))
        assert busy.exists()
        busy.write_text("whole")
    assert not left.exists()
    assert all(path.exists() for path in theirs)
    assert (tmp_path / "busy.txt").read_text() == (tmp_path / "other.txt").read_text() == "whole"


def test_a_file_system_without_locks_takes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    write_json(tmp_path / "a.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
