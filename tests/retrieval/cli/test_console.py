"""Tables and lines, as they look."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from indexer.core.types import Kind, Metadata, Skip
from retrieval.cli.console import list_skipped, printable
from retrieval.cli.progress import phase, progress
from retrieval.cli.table import shorten_left, write_table
from retrieval.search import Hit
from tests.terminals import on_terminal


def table(*hits: Hit, width: int = 80, dated: bool = False) -> list[str]:
    """The lines of a table on a terminal without colour."""
    out = io.StringIO()
    write_table(hits, Console(file=out, width=width, color_system=None), dated=dated)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def hit(rank: int, score: float, path: str, text: str = "") -> Hit:
    """A photo, or a text if there is one."""
    kind = Kind.TEXT if text else Kind.PHOTO
    return Hit(rank=rank, score=score, kind=kind, path=Path(path), text=text, id=rank)


@pytest.mark.parametrize(
    ("matches", "above"),
    [((0.5, 0.3, 0.1, 0.05), "0.1"), ((0.1, 0.05), "0.1"), ((0.5, 0.3), None)],
)
def test_a_line_stands_above_the_first_hit_that_is_unlikely(
    matches: tuple[float, ...], above: str | None
) -> None:
    hits = [
        replace(hit(rank, 0.1, f"/p/{match}.jpg"), match=match)
        for rank, match in enumerate(matches, start=1)
    ]
    lines = table(*hits)
    marked = [at for at, line in enumerate(lines) if "unlikely from here on" in line]
    assert [lines[at + 1].rsplit("/", 1)[1] for at in marked] == ([f"{above}.jpg"] if above else [])
    assert max(map(len, lines)) <= 80


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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which tests set."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_the_speed_leaves_out_what_comes_before(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with progress("indexing") as report:
        clock[0] = 20.0  # files are looked for
        report(0, 1500)
        with report.phase("preparing the model"):
            clock[0] = 80.0
        clock[0] = 90.0
        report(100, 1500)
        assert report.aside == 60.0
    first, second = capsys.readouterr().err.splitlines()
    assert first == "preparing the model"
    assert second == "indexing: 100 of 1,500, 10 photos/s, 140 s left"


def test_the_speed_leaves_out_unchanged_files(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with progress("indexing") as report:
        for seconds, done, photos in ((30.0, 100_000, 0), (40.0, 100_050, 50)):
            clock[0] = seconds
            report(done, 100_100, photos)
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith("indexing: 100,050 of 100,100, 5 photos/s")
    )


def test_a_phase_without_a_bar_is_a_line_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with phase("preparing the model"):
        pass
    assert capsys.readouterr().err == "preparing the model\n"


BAR = """
import time
from retrieval.cli.console import note
from retrieval.cli.progress import phase, progress
with progress("indexing", last="updating the search index") as report:
    time.sleep(0.3)
    with phase("preparing the model (once)"):
        note("a note in the middle")
        time.sleep(0.3)
    for done in range(1, 4):
        report(done, 3)
        time.sleep(0.3)
        note(f"photo {done}")
note("the end")
"""


def test_notes_do_not_tear_the_bar() -> None:
    shown = on_terminal(BAR)
    assert shown.code == 0, shown.data
    left = lines_of(shown.data.decode())
    assert left == ["a note in the middle", "photo 1", "photo 2", "photo 3", "the end"]
    for told in ("preparing the model (once)", "1/3", "updating the search index"):
        assert told in shown.data.decode()
    assert "?" not in re.sub(r"\x1b\[[?\d;]*\w", "", shown.data.decode())  # as in "0/?"


def lines_of(data: str) -> list[str]:
    """What is left on a terminal, by the few codes that rich uses."""
    lines, row, column = [""], 0, 0
    for code, text in re.findall(r"(\x1b\[[?\d;]*[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", data):
        if code == "\r":
            column = 0
        elif code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code.endswith("A"):
            row -= int(code[2:-1] or 1)
        elif code.endswith("K"):
            lines[row] = ""
        elif text:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + text + line[column + len(text) :]
            column += len(text)
    return [line.rstrip() for line in lines if line.strip()]


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
