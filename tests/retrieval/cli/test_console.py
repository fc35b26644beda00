"""Tables and lines, as they look."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from indexer.types import Kind, Metadata, Skip
from retrieval.cli.console import list_skipped, printable
from retrieval.cli.progress import progress
from retrieval.cli.table import shorten_left, write_table
from retrieval.search import Hit


def table(*hits: Hit, width: int = 80, dated: bool = False) -> list[str]:
    """The lines of a table on a terminal without colour."""
    out = io.StringIO()
    write_table(hits, Console(file=out, width=width, color_system=None), dated=dated)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def hit(rank: int, score: float, path: str, text: str = "") -> Hit:
    """A photo, or a text if there is one."""
    kind = Kind.TEXT if text else Kind.PHOTO
    return Hit(rank=rank, score=score, kind=kind, path=Path(path), text=text, id=rank)


def test_photos_at_80_columns() -> None:
    deep = "/home/someone/pictures/2024/" + "holiday/" * 8 + "cat.jpg"
    lines = table(hit(1, 0.3125, "/p/a.jpg"), hit(10, -0.02, deep))
    assert lines[0] == "     score  file"
    assert lines[1] == " 1   0.312  /p/a.jpg"
    assert lines[2].startswith("10  -0.020  …")
    assert lines[2].endswith("/holiday/cat.jpg")
    assert max(map(cell_len, lines)) <= 80


def test_what_filters_found_has_a_date_and_no_score() -> None:
    taken = Metadata(taken=datetime(2019, 7, 14, 18, 3))
    long = "/p/" + "x" * 99
    lines = table(replace(hit(1, 0.0, "/p/a.jpg"), about=taken), hit(2, 0.0, long), dated=True)
    assert lines[:2] == ["   taken       file", "1  2019-07-14  /p/a.jpg"]
    assert lines[2].startswith("2              …xxx")
    assert max(map(cell_len, lines)) <= 80


def test_texts_at_80_columns() -> None:
    lines = table(hit(1, 0.5, "/some/where/notes.txt", "a red door " * 12))
    assert lines[0].split() == ["score", "text", "file"]
    assert lines[1].endswith("/some/where/notes.txt")
    assert max(map(cell_len, lines)) <= 80
    assert sum(line.count("red") for line in lines) == 12


def test_names_cannot_steer_the_terminal() -> None:
    (_, line) = table(hit(1, 0.5, "/p/a\x1b[31m\nb.jpg"))
    assert line.endswith(r"/p/a\x1b[31m\nb.jpg")


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("/a/b.jpg", 8, "/a/b.jpg"), ("/a/b.jpg", 6, "…b.jpg"), ("/a/日本.jpg", 8, "…本.jpg")],
)
def test_shorten_left_counts_cells(text: str, width: int, expected: str) -> None:
    assert shorten_left(text, width) == expected


def test_printable_escapes_control_characters_only() -> None:
    assert printable("Käse 日本 \t\n\x1b\udcff") == "Käse 日本 \\t\\n\\x1b\udcff"


def test_progress_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 10.0, 11.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress("indexing") as report:
        for done in (20, 500, 550):
            report(done, 1500)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "indexing: 500 of 1,500, 50 photos/s, 20 s left\n"


def test_files_that_want_a_package_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    wanting = "a video, which needs: pip install 'twinlens[video]'"
    videos = [Skip(path=Path(f"{name}.mp4"), reason=wanting, wants="video") for name in "acd"]
    list_skipped([videos[0], Skip(path=Path("b.jpg"), reason="empty file"), *videos[1:]])
    assert capsys.readouterr().err.splitlines() == [
        "skipping b.jpg: empty file",
        f"skipping a.mp4 and 2 more: {wanting}",
    ]
    list_skipped(videos[:1])
    assert capsys.readouterr().err == f"skipping a.mp4: {wanting}\n"
