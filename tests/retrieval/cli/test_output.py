"""What reaches a terminal, a spreadsheet and a page: nothing that steers or overwrites them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from indexer.core.types import Kind, Metadata
from retrieval.cli import table
from retrieval.cli.commands.search import _dated, _found
from retrieval.cli.output import Layout, write_hits
from retrieval.output_files import cell
from retrieval.search import Hit
from tests.fakes import draw
from tests.retrieval.cli.conftest import Run
from tests.retrieval.cli.test_two_writers import COMMAND
from tests.terminals import on_terminal

STEERING = "\x1b]0;owned\x07\x1b[2J\r\nx.png"
HIT = Hit(rank=1, score=-0.25, kind=Kind.PHOTO, path=Path("/p/a.png"), text="", id=7)


@pytest.fixture
def steering(run: Run, tmp_path: Path) -> Path:
    """A photo whose name is a program for terminals, and its copy under another such name."""
    photo = draw(tmp_path / "steering" / STEERING, "red", "blue", "green", size=(90, 90))
    shutil.copy(photo, photo.with_name(f"copy {STEERING}"))
    assert run("index", photo.parent).exit_code == 0
    return photo


@pytest.mark.parametrize(
    "args",
    [
        ["search", "red", "-f"],
        ["search", "red", "-0"],
        ["search", "red", "--csv"],
        ["search", "red", "--json"],
        ["search", "red"],
        ["duplicates"],
        ["duplicates", "-f"],
        ["duplicates", "-0"],
    ],
)
def test_a_name_does_not_steer_a_terminal(steering: Path, tmp_path: Path, args: list[str]) -> None:
    shown = on_terminal(COMMAND, *args, "--library", tmp_path / "library", columns=200)
    assert shown.code == 0, shown.data
    assert b"\x1b]0;" not in shown.data
    assert b"\x1b[2J" not in shown.data
    assert b"\x07" not in shown.data
    assert rb"\x1b]0;owned" in shown.data or rb"\u001b]0;owned" in shown.data


def test_for_a_program_a_name_is_exact(run: Run, steering: Path) -> None:
    name, copy = (str(path).encode() for path in (steering, steering.with_name(f"copy {STEERING}")))
    assert name + b"\0" in run("search", "red", "-0").stdout_bytes
    assert name + b"\n" in run("search", "red", "-f").stdout_bytes
    assert run("duplicates", "-0").stdout_bytes in (name + b"\0", copy + b"\0")
    assert run("duplicates", "-f").stdout_bytes in (name + b"\n", copy + b"\n")
    page = run("search", "red", "--csv").stdout_bytes.decode()
    assert str(steering) in {row["path"] for row in csv.DictReader(io.StringIO(page, newline=""))}


FORMULAS = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "'tis", "''"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_and_each_can_be_read_back(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(text).removeprefix("'") == text


@pytest.mark.parametrize("text", ["", "/p/=a.png", "a=b", "1", "C:\\a.png", "ü", " =1"])
def test_other_cells_stay(text: str) -> None:
    assert cell(text) == text


def test_csv_marks_texts_and_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    found = replace(HIT, kind=Kind.TEXT, path=Path("-2.txt"), text="=HYPERLINK(1)")
    write_hits([found], Layout.CSV)
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["score"], row["path"], row["text"]) == ("-0.25", "'-2.txt", "'=HYPERLINK(1)")
    write_hits([found], Layout.JSON)
    plain = json.loads(capsys.readouterr().out)
    assert (plain["path"], plain["text"]) == ("-2.txt", "=HYPERLINK(1)")


def test_a_manifest_has_no_formula(run: Run, tmp_path: Path) -> None:
    photo = draw(tmp_path / "photos" / "=cmd|' calc'!A1.png", "red")
    assert run("index", photo.parent).exit_code == 0
    assert run("export", "red", "--to", tmp_path / "out").exit_code == 0
    with (tmp_path / "out" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["file"] == f"'{photo.name}"
    assert row["path"] == str(photo)
    assert (tmp_path / "out" / photo.name).read_bytes() == photo.read_bytes()


@pytest.mark.parametrize("command", [["search", "red"], ["duplicates"]])
def test_a_photo_is_not_overwritten_by_a_sheet(run: Run, indexed: Path, command: list[str]) -> None:
    before = (indexed / "red.png").read_bytes()
    result = run(*command, "--html", indexed / "red.png")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is not a contact sheet" in result.stderr
    assert (indexed / "red.png").read_bytes() == before


def test_the_title_of_a_sheet_says_the_query_and_how_many(
    run: Run, indexed: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.html"

    def titled(*args: object) -> str:
        run("search", *args, "--html", sheet)
        (title,) = re.findall("<title>(.*)</title>", sheet.read_text(encoding="utf-8"))
        return str(title)

    assert titled("red") == "&#34;red&#34;: 3 photos"
    assert titled("red", "-t", 1, "in:photos") == "&#34;red&#34; in:photos: 1 photo"
    assert titled("in:photos") == "in:photos: 3 photos"
    assert titled("red", "--for", "texts") == "&#34;red&#34;: 2 texts"
    assert titled(indexed / "red.png") == "red.png: 3 photos"
    assert titled("in:nowhere") == "in:nowhere: nothing found"
    assert titled("red " * 100).startswith("&#34;red red ")
    assert len(titled("red " * 100)) < 120


def test_videos_and_frames_are_counted_apart() -> None:
    film = replace(HIT, time=3.0)
    assert _found([film, HIT, HIT], frames=False) == "2 photos and 1 video"
    assert _found([film, film], frames=True) == "2 frames"


def test_a_sheet_by_date_says_the_date() -> None:
    taken = replace(HIT, about=Metadata(taken=datetime(2019, 7, 14, 18, 3)), match=0.5)
    assert [_dated(taken), _dated(HIT)] == ["2019-07-14 · 50 %", "no date"]


def test_a_sheet_of_filters_alone_shows_dates_and_no_scores(run: Run, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:14 18:03:11"
    (tmp_path / "dated").mkdir()
    Image.new("RGB", (8, 8), "green").save(tmp_path / "dated" / "a.jpg", exif=exif)
    assert run("index", tmp_path / "dated").exit_code == 0
    sheet = tmp_path / "sheet.html"
    assert run("search", "in:dated", "--html", sheet).exit_code == 0
    written = sheet.read_text(encoding="utf-8")
    assert '<span class="caption">2019-07-14</span>' in written
    assert "0.000" not in written


def test_the_sheet_of_copies_says_which_to_keep(run: Run, tmp_path: Path) -> None:
    noise = Image.effect_noise((96, 96), 80).resize((192, 192)).convert("RGB")
    (tmp_path / "copies").mkdir()
    noise.save(tmp_path / "copies" / "a.png")
    shutil.copy2(tmp_path / "copies" / "a.png", tmp_path / "copies" / "b.png")
    assert run("index", tmp_path / "copies").exit_code == 0
    sheet = tmp_path / "sheet.html"
    assert run("duplicates", "--html", sheet).exit_code == 0
    written = sheet.read_text(encoding="utf-8")
    assert "<title>Duplicates: 1 group</title>" in written
    assert written.count('<strong class="mark">keep</strong>') == 1
    facts = r"192 × 192 · [\d,.]+ KB · \d{4}-\d\d-\d\d"
    assert len(re.findall(facts, written)) == 2


@pytest.mark.parametrize(
    ("rows", "columns", "layout"),
    [(0, 0, "-p"), (24, 0, "-p"), (0, 80, "-p"), (1, 1, "-p"), (24, 3, "-p"), (0, 0, "--no-words")],
)
def test_a_terminal_of_any_size(
    indexed: Path, tmp_path: Path, rows: int, columns: int, layout: str
) -> None:
    args = ("search", "red", "-t", 1, layout, "--library", tmp_path / "library")
    shown = on_terminal(COMMAND, *args, rows=rows, columns=columns)
    assert shown.code == 0, shown.data
    assert b"unexpected" not in shown.data


@pytest.mark.parametrize("columns", ["0", "1", "x"])
def test_a_width_from_the_environment(indexed: Path, tmp_path: Path, columns: str) -> None:
    args = ("search", "red", "-t", 1, "--library", tmp_path / "library")
    shown = on_terminal(COMMAND, *args, COLUMNS=columns)
    assert shown.code == 0, shown.data
    assert b"png" in shown.data


def test_a_preview_of_a_very_wide_photo(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=20)
    table.show(draw(tmp_path / "wide.png", "red", size=(4000, 8)), console)
    assert console.file.getvalue().strip()  # type: ignore[attr-defined]
