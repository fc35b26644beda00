"""Videos, RAW and pairs from the command line: what a person and a program see of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from indexer.core.types import Kind
from retrieval.cli.table import write_table
from retrieval.search import Hit
from tests.clips import clip, scene
from tests.fakes import draw
from tests.retrieval.cli.conftest import Run


@pytest.fixture
def boat(tmp_path: Path, run: Run) -> Path:
    """Red and blue from 0 s on, yellow and purple from 15 s on, red and white from 30 s on."""
    scenes = [scene("red", "blue"), scene("yellow", "purple"), scene("red", "white")]
    path = clip(tmp_path / "photos" / "boat.mp4", [(each, 15) for each in scenes])
    draw(path.with_name("a.jpg"), "green")
    result = run("index", path.parent)
    assert result.exit_code == 0
    assert result.stdout.startswith("1 photo added, 1 video added in ")
    return path


def test_a_hit_says_when(run: Run, boat: Path) -> None:
    result = run("search", "purple", "-t", 1, "--no-words")
    assert result.stdout == f"0.7070\t{boat}\t0:17\n"
    (row,) = csv.DictReader(io.StringIO(run("search", "purple", "-t", 1, "--csv").stdout))
    assert (row["path"], row["time"]) == (str(boat), "17.0")
    hit = json.loads(run("search", "purple", "-t", 1, "--json").stdout)
    assert (hit["kind"], hit["path"], hit["time"]) == ("photo", str(boat), 17.0)
    assert run("search", "purple", "-t", 1, "-f").stdout == f"{boat}\n"


def test_a_table_shows_path_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    hit = Hit(
        rank=1, score=0.25, kind=Kind.PHOTO, path=Path("clip.mp4"), text="", id=7, time=3723.9
    )
    write_table([hit], Console(width=80))
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "1",
        "0.250",
        "clip.mp4",
        "@",
        "1:02:03",
    ]


def test_one_video_is_one_hit_unless_asked(run: Run, boat: Path) -> None:
    assert run("search", "red", "-f").stdout.count("boat.mp4") == 1
    times = [
        json.loads(line)["time"] for line in run("search", "red", "--json").stdout.split("\n")[:-1]
    ]
    assert times[0] in {2.0, 32.0}
    assert len(times) == 2  # the video, and the photo
    every = run("search", "red", "--frames", "--json", "type:video").stdout.splitlines()
    assert {json.loads(line)["time"] for line in every} == {2.0, 17.0, 32.0}


def test_preview_and_contact_sheet_show_the_frame(
    run: Run, boat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = tmp_path / "sheet.html"
    result = run("search", "purple", "-t", 1, "-p", "--html", sheet)
    assert result.stdout.splitlines()[0].endswith("boat.mp4 @ 0:17")
    page = sheet.read_text(encoding="utf-8")
    assert "boat.mp4 @ 0:17" in page
    assert page.count("data:image/jpeg") == 1
    boat.unlink()
    assert "not reachable" in run("search", "purple", "-t", 1, "-p").stdout


def test_export_copies_the_video_once(run: Run, boat: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("export", "red", "type:video", "--frames", "--to", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["boat.mp4", "manifest.csv"]
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["time"] for row in rows} == {"2.0", "17.0", "32.0"}
    assert {row["file"] for row in rows} == {"boat.mp4"}


def test_info_counts_videos(run: Run, boat: Path) -> None:
    assert "1, 3 frames" in run("info").stdout
    known = json.loads(run("info", "--json").stdout)
    assert (known["photos"], known["videos"], known["frames"]) == (1, 1, 3)


def test_search_with_a_video(run: Run, boat: Path) -> None:
    # The one amid the frames that stand for it: yellow and purple.
    hit = json.loads(run("search", boat, "-t", 1, "--json").stdout)
    assert (hit["score"], hit["time"]) == (pytest.approx(1.0, abs=1e-3), 17.0)


def test_json_names_what_belongs_to_a_photo(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    jpeg = draw(folder / "a.jpg", "red")
    jpeg.with_suffix(".cr2").touch()
    assert run("index", folder).exit_code == 0
    hit = json.loads(run("search", "red", "--json").stdout)
    assert (hit["path"], hit["also"]) == (str(jpeg), [str(folder / "a.cr2")])
