"""Signs, "nothing matches", duplicates, export, CSV and previews from the command line."""

from __future__ import annotations

import csv
import io
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

import retrieval
from indexer.core.types import Kind
from retrieval._enums import SortOrder
from retrieval.cli import output as printing
from retrieval.cli import table
from retrieval.cli.output import Layout, write_hits
from retrieval.search import Hit, Page
from tests.fakes import COLOURS, ColourEncoder, draw
from tests.retrieval.cli.conftest import LOADERS, Run

HIT = Hit(rank=1, score=0.25, kind=Kind.PHOTO, path=Path("a b.png"), text="", id=7, match=0.8512)


def paths(stdout: str) -> list[str]:
    return [Path(line).name for line in stdout.splitlines()]


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    "written",
    [
        ["red", "-", "blue"],
        ["red - blue"],
        ["red -", "blue"],
        ["-", "1:blue", "+", "2:red"],
        ["red", "- blue"],
        ["- blue", "+ red"],
    ],
)
def test_signs_in_one_piece_or_several(run: Run, written: Sequence[str]) -> None:
    result = run("search", "-f", *written)
    assert (result.exit_code, paths(result.stdout)) == (0, ["red.png", "half.png", "blue.png"])


def test_a_photo_and_words(run: Run, indexed: Path) -> None:
    result = run("search", "-f", "-t", 1, indexed / "red.png", "+", "blue")
    assert paths(result.stdout) == ["half.png"]


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("written", [["-", "red"], ["no red"], ["photos", "without", "red"]])
def test_only_taking_away_finds_all_else(run: Run, written: Sequence[str]) -> None:
    result = run("search", "-f", *written)
    assert (result.exit_code, paths(result.stdout)[0]) == (0, "blue.png")
    assert "searching for: all photos - red; to search for the words as they stand" in result.stderr


@pytest.mark.usefixtures("indexed")
def test_an_address_is_told_from_words(run: Run) -> None:
    result = run("search", "https://example.org/dog.jpg")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "download the photo and search with the file" in result.stderr


@pytest.mark.usefixtures("indexed")
def test_a_place_is_told_once(run: Run) -> None:
    result = run("search", "near:Greece", "--near", "Rome,5", "red")
    assert result.stderr.count("near:Greece is taken as the country Greece") == 1
    assert result.stderr.count("near:Rome,5 is taken as Rome, Italy (5 km)") == 1


@pytest.mark.usefixtures("indexed")
def test_a_misspelt_filter_is_told_from_words(run: Run) -> None:
    assert "did you mean camera:x100?" in run("search", "red", "camara:x100").stderr


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("-blue", "to remove it, write: - blue"),
        ("-blue sky", "to remove it, write: - blue"),
        ("-json", "did you mean --json?"),
    ],
)
def test_a_word_that_looks_like_an_option(run: Run, written: str, meant: str) -> None:
    result = run("search", "red", written)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"twinlens: No such option '{written}'; {meant}")


@pytest.mark.usefixtures("indexed")
def test_the_value_of_an_option_may_begin_with_a_minus(run: Run) -> None:
    result = run("search", "red", "--camera", "-blue", "--near", "- rome")
    assert (result.exit_code, result.stderr.count("option")) == (2, 0)
    assert "no town '- rome'" in result.stderr


def hits(*matches: float) -> list[Hit]:
    return [replace(HIT, rank=n, id=n, match=match) for n, match in enumerate(matches, start=1)]


@pytest.mark.parametrize(
    ("offset", "top", "ranks", "ids"),
    [(0, 2, [1, 2], [1, 3]), (2, 2, [3, 4], [4, 6]), (4, 2, [], []), (1, 0, [2, 3, 4], [3, 4, 6])],
)
def test_pages_are_filled_with_what_matches(
    offset: int, top: int, ranks: list[int], ids: list[int]
) -> None:
    # As a second look orders them: 2 and 5 are no match, whatever stands behind them.
    found = [hit for hit in hits(0.9, 0.01, 0.8, 0.7, 0.02, 0.6) if (hit.match or 0) > 0.1]
    page = Page(top=top, offset=offset, sort=SortOrder.SCORE).of(found)
    assert [(hit.rank, hit.id) for hit in page] == list(zip(ranks, ids, strict=True))


def test_a_second_page_goes_on_where_the_first_ended(run: Run, many: Path) -> None:
    del many
    whole = run("search", "red", "-f", "--threshold", 0, "-t", 0).stdout.splitlines()
    pages = [run("search", "red", "-f", "--threshold", 0, "-t", 5, "--page", n) for n in (1, 2, 3)]
    assert [line for page in pages for line in page.stdout.splitlines()] == whole
    beyond = run("search", "red", "--threshold", 0, "-t", 5, "--page", 4)
    assert (beyond.exit_code, beyond.stderr) == (4, "nothing more matches beyond the first 12\n")


def test_a_contact_sheet_says_all_that_was_asked(run: Run, many: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    run("search", "red", "--in", many, "-type:raw", "--html", sheet)
    written = sheet.read_text(encoding="utf-8")
    assert f"<q>red</q> <small>-type:raw in:{many}</small></h2>" in written
    run("search", "--in", "some folder", "--html", sheet)
    assert "<h2>in:&#34;some folder&#34;</h2>" in sheet.read_text(encoding="utf-8")


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("written", [["red camera:canon"], ["--camera", "canon"]])
def test_filters_that_leave_nothing_are_told(run: Run, written: Sequence[str]) -> None:
    result = run("search", *written)
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr == "nothing matches: no photo passes the filters camera:canon\n"


@pytest.fixture
def many(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve photos, none of them purple, and a bank of 124 generic texts."""
    colours = [colour for colour in COLOURS if colour != "purple"]
    generic = [f"{one} {two}" for one in colours for two in colours] * 3
    encoder = ColourEncoder(generic={Kind.TEXT: generic})
    for name in LOADERS:
        monkeypatch.setattr(name, lambda *_, **__: encoder)
    folder = tmp_path / "many"
    for number, (one, two) in enumerate(zip(colours * 2, colours[1:] * 2, strict=False)):
        draw(folder / f"{number}-{one}-{two}.png", one, two)
    assert run("index", folder).exit_code == 0
    return folder


def test_what_is_absent_matches_nothing(run: Run, many: Path) -> None:
    result = run("search", "purple", "--json")
    assert (result.exit_code, result.stdout) == (4, "")
    assert f"nothing matches. The nearest is {many}" in result.stderr
    shown = run("search", "purple", "--json", "--threshold", 0)
    assert shown.exit_code == 0
    first, *_ = map(json.loads, shown.stdout.splitlines())
    assert 0 <= first["match"] < 0.09


def test_the_threshold_cuts_by_the_match(run: Run, many: Path) -> None:
    lines = run("search", "red", "--json", "--threshold", 0).stdout.splitlines()
    matches = [json.loads(line)["match"] for line in lines]
    assert matches == sorted(matches, reverse=True)
    middle = (matches[1] + matches[2]) / 2 if matches[1] > matches[2] else matches[1]
    kept = run("search", "red", "-f", "--threshold", middle)
    wanted = sum(match >= middle for match in matches)
    assert len(kept.stdout.splitlines()) == wanted
    assert f"{len(matches) - wanted} more left out as too unlikely" in kept.stderr


@pytest.mark.usefixtures("indexed")
def test_too_few_photos_to_tell(run: Run) -> None:
    result = run("search", "purple", "--json")
    assert result.exit_code == 0
    assert {json.loads(line)["match"] for line in result.stdout.splitlines()} == {None}


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    other = Hit(rank=2, score=0.1, kind=Kind.TEXT, path=Path('x,"y".txt'), text="two\nlines", id=8)
    write_hits([HIT, other], Layout.CSV)
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["rank", "score", "match", "kind", "path", "text", "id", "time"],
        ["1", "0.25", "0.8512", "photo", "a b.png", "", "7", ""],
        ["2", "0.1", "", "text", 'x,"y".txt', "two\nlines", "8", ""],
    ]


def test_previews_draw_the_photo_below_its_line(
    run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("search", "red", "-t", 1, "-p", "--no-words")
    first, *drawn = result.stdout.splitlines()
    assert first.startswith("1  1.000  …")
    assert first.endswith("photos/red.png")
    assert len(drawn) > 5
    monkeypatch.setattr(printing, "find_spec", lambda _name: None)
    missing = run("search", "red", "-p")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "pip install 'twinlens[preview]'" in missing.stderr


def test_a_terminal_that_does_not_answer_costs_no_traceback(tmp_path: Path) -> None:
    table.show(draw(tmp_path / "red.png", "red"), Console(file=io.StringIO(), width=80))
    # It is there that textual-image would warn, with a traceback.
    assert not logging.getLogger("textual_image._terminal").isEnabledFor(logging.WARNING)


def test_a_preview_of_what_is_gone_says_why(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80)
    table.show(tmp_path / "gone.png", console)
    assert "(no such file or directory)" in console.file.getvalue()  # type: ignore[attr-defined]


def test_export_copies_and_overwrites_nothing(run: Run, indexed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        assert run("export", "red", "-t", 1, "--to", out, "--no-words").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest-2.csv", "manifest.csv", "red-2.png", "red.png",
    ]  # fmt: skip
    assert (out / "red-2.png").read_bytes() == (indexed / "red.png").read_bytes()
    with (out / "manifest-2.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "rank": "1",
        "score": "1.0",
        "match": "",
        "file": "red-2.png",
        "path": str(indexed / "red.png"),
        "text": "",
        "time": "",
    }


def test_export_links_or_lists(run: Run, indexed: Path, tmp_path: Path) -> None:
    assert run("export", "red", "--to", tmp_path / "links", "--link").exit_code == 0
    assert (tmp_path / "links" / "half.png").resolve() == indexed / "half.png"
    assert run("export", "red", "--to", tmp_path / "list", "--list").exit_code == 0
    assert [path.name for path in (tmp_path / "list").iterdir()] == ["manifest.csv"]


def test_export_skips_what_is_gone(run: Run, indexed: Path, tmp_path: Path) -> None:
    (indexed / "red.png").unlink()
    result = run("export", "red", "--to", tmp_path / "out")
    assert result.exit_code == 3
    assert f"skipping {indexed / 'red.png'}" in result.stderr
    assert "red.png" not in (tmp_path / "out" / "manifest.csv").read_text(encoding="utf-8")


@pytest.fixture
def doubled(tmp_path: Path, run: Run) -> Path:
    """A photo of noise, its copy, and a smaller one; the name holds a line break."""
    folder = tmp_path / "doubled"
    folder.mkdir()
    noise = Image.effect_noise((96, 96), 80).resize((192, 192)).convert("RGB")
    noise.save(folder / "a\nb.png")
    shutil.copy(folder / "a\nb.png", folder / "copy.png")
    noise.resize((96, 96)).save(folder / "small.png")
    assert run("index", folder).exit_code == 0
    return folder


def test_duplicates_for_people_and_programs(run: Run, doubled: Path, tmp_path: Path) -> None:
    shown = run("duplicates", "--html", tmp_path / "sheet.html")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("2 exact copies\n      192 × 192  ")
    assert "a\\nb.png\n" in shown.stdout
    assert "2 near copies, correlation 0.9" in shown.stdout
    assert "2 groups: 1 exact, 1 near (correlation 0.9 or more); 2 copies" in shown.stderr
    assert "192 × 192" in (tmp_path / "sheet.html").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in run("duplicates", "--json").stdout.splitlines()]
    assert [(row["kind"], len(row["copies"])) for row in rows] == [("exact", 2), ("near", 2)]
    assert rows[1]["copies"][1] == {
        "path": str(doubled / "small.png"),
        "width": 96,
        "height": 96,
        "bytes": (doubled / "small.png").stat().st_size,
        "links": [],
        "alone": [],
    }
    assert rows[0]["keep"] == rows[1]["keep"] == str(doubled / "a\nb.png")
    assert [row["why"] for row in rows] == ["it is the oldest file", "it has more pixels"]
    assert "  keep the first: it has more pixels\n" in shown.stdout
    assert "it has more pixels" in (tmp_path / "sheet.html").read_text(encoding="utf-8")


def test_exact_and_near_copies_are_never_in_one_list(run: Run, doubled: Path) -> None:
    exact, near = run("duplicates", "-0"), run("duplicates", "-0", "--near")
    assert exact.stdout == f"{doubled / 'copy.png'}\0"
    assert "1 group of near copies not listed; list them with --near" in exact.stderr
    assert near.stdout == f"{doubled / 'small.png'}\0"
    kinds = [
        json.loads(line)["kind"]
        for line in run("duplicates", "--near", "--json").stdout.splitlines()
    ]
    assert kinds == ["near"]
    assert len(list(doubled.iterdir())) == 3


@pytest.mark.parametrize("layout", ["-f", "-0"])
def test_no_copy_is_named_whose_original_has_gone(
    run: Run, doubled: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = retrieval.find_duplicates

    def found(*args: Any, **named: Any) -> Any:
        groups = find(*args, **named)
        (doubled / "a\nb.png").unlink()  # its drive is pulled out while copies are compared
        return groups

    assert run("duplicates", layout).stdout
    monkeypatch.setattr(retrieval, "find_duplicates", found)
    result = run("duplicates", layout)
    assert result.stdout == ""
    assert "a\\nb.png, which is not reachable now" in result.stderr


def test_no_duplicates(run: Run, indexed: Path, doubled: Path) -> None:
    result = run("duplicates", indexed / "gone")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "no duplicates" in result.stderr


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("search", "red", "--csv", "--json"), "--json and --csv exclude each other"),
        (("search", "red", "-f", "-0"), "--filepath-only and --null exclude each other"),
        (("search", "red", "-p", "--json"), "--json and --preview exclude each other"),
        (("duplicates", "--json", "-f"), "--json and --filepath-only exclude each other"),
        (("export", "red", "--to", "x", "--link", "--list"), "--link and --list exclude"),
    ],
)
def test_two_ways_to_print_are_wrong_usage(run: Run, command: Sequence[str], told: str) -> None:
    result = run(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
