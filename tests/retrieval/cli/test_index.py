"""What `twinlens index` prints, and the code it ends with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cli.commands.index import MANY
from tests.fakes import draw

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


def test_index_says_what_it_did(run: Run, photos: Path) -> None:
    first, second = run("index", photos), run("index", photos)
    assert first.stdout.startswith("3 photos added, 2 texts added in ")
    assert second.stdout.startswith("4 unchanged in ")
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_of_many_photos_the_rate_and_the_device_are_told(run: Run, tmp_path: Path) -> None:
    for number in range(MANY):
        draw(tmp_path / "many" / f"{number}.png", "red", "blue", size=(8 + number, 8))
    told = run("index", tmp_path / "many").stdout
    assert re.fullmatch(rf"{MANY} photos added in \S+ s, \d+ photos/s on cpu\n", told)


def test_index_as_json(run: Run, photos: Path) -> None:
    done = json.loads(run("index", photos, "--json").stdout)
    done.pop("seconds")
    assert done == {
        "photos": 3,
        "videos": 0,
        "texts": 2,
        "updated": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": 0,
        "skipped": [],
        "damaged": [],
        "still": 0,
        "device": "cpu",
        "passed_over": {},
    }


def test_truncated_photos_are_told_how_to_be_read(run: Run, photos: Path) -> None:
    whole = draw(photos / "whole.jpg", "red", "blue").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[:-20])
    hint = "the readable part of truncated photos, add --allow-truncated\n"
    assert run("index", photos).stderr.endswith(hint)
    again = run("index", photos, "--allow-truncated")
    assert (again.exit_code, again.stderr) == (0, "")


def test_a_damaged_file_that_was_read_is_named_and_gives_0(run: Run, photos: Path) -> None:
    path = draw(photos / "whole.jpg", "red", "blue")
    path.write_bytes(path.read_bytes()[:-2])
    result = run("index", photos, "--json")
    reason = "its end marker is missing; the picture is there"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        0,
        f"read all the same, {path}: {reason}",
    )
    told = json.loads(result.stdout)
    assert told["damaged"] == [{"path": str(path), "reason": reason}]
    assert (told["photos"], told["skipped"]) == (4, [])


def test_a_broken_file_is_listed_and_gives_3(run: Run, photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"no photo")
    result = run("index", photos)
    assert result.exit_code == 3
    assert f"skipping {photos / 'broken.jpg'}: not an image" in result.stderr
    assert "3 photos added, 2 texts added, 1 skipped" in result.stdout


def test_old_broken_files_do_not_give_3_for_ever(run: Run, photos: Path) -> None:
    for name in "abc":
        (photos / f"broken-{name}.jpg").write_bytes(b"no photo")
    first, second = run("index", photos), run("index", photos)
    assert (first.exit_code, second.exit_code) == (3, 0)
    assert first.stderr.count("skipping ") == 3
    told = f"still skipped, as before: {photos / 'broken-a.jpg'}: not an image Pillow can read"
    assert second.stderr == f"{told} and 2 more\n"
    assert "4 unchanged, 3 still skipped in " in second.stdout
    assert len(json.loads(run("index", photos, "--json").stdout)["skipped"]) == 3
    # A new one, and an old one that changed, are told in full.
    (photos / "broken-d.jpg").write_bytes(b"none either")
    (photos / "broken-a.jpg").write_bytes(b"another, of another length")
    third = run("index", photos)
    assert third.exit_code == 3
    named = [line for line in third.stderr.splitlines() if line.startswith("skipping ")]
    assert [Path(line.split(":")[0]).name for line in named] == ["broken-a.jpg", "broken-d.jpg"]
    assert "2 skipped, 2 still skipped" in third.stdout
    assert run("index", photos).exit_code == 0
    reindexed = run("reindex", "--model", "other")
    assert (reindexed.exit_code, reindexed.stderr.count("still skipped")) == (0, 1)


def test_index_passes_over_what_it_is_told_to(run: Run, photos: Path) -> None:
    draw(photos / "thumbs" / "small.png", "green")
    draw(photos / ".attic" / "old.png", "green")
    assert "3 photos added" in run("index", photos, "--exclude-dir", "thumbs").stdout
    assert "2 photos added" in run("index", photos, "--include-hidden").stdout


def test_index_keeps_to_the_model_of_the_library(run: Run, photos: Path, loaded: list[str]) -> None:
    run("index", photos, "--model", "mine")
    run("index", photos)
    assert loaded == ["mine", "mine"]
    other = run("index", photos, "--model", "other")
    assert (other.exit_code, other.stdout) == (11, "")


def test_index_of_a_missing_folder_makes_no_library(run: Run, tmp_path: Path) -> None:
    result = run("index", tmp_path / "nowhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert not (tmp_path / "library").exists()
