"""One journey after another with the installed command, the built-in model and real photos."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.e2e.conftest import NAMES, PHOTOS, command

if TYPE_CHECKING:
    from tests.e2e.conftest import Twinlens


def found(twinlens: Twinlens, *query: object) -> list[dict[str, object]]:
    """The hits of a search."""
    done = twinlens("search", *query, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_all_four_directions_and_a_reader_that_stops_early(
    twinlens: Twinlens, environment: dict[str, str], photos: Path
) -> None:
    assert twinlens("index", photos).returncode == 0
    by_words = found(twinlens, "a cat", "--top", 3)
    assert list(by_words[0])[:7] == ["rank", "score", "match", "kind", "path", "text", "id"]
    assert by_words[0]["path"] == str(photos / "chelsea.png")
    assert len(by_words) == 3
    by_photo = found(twinlens, PHOTOS / "motorcycle_right.png")
    assert by_photo[0]["path"] == str(photos / "motorcycle_left.png")
    texts = found(twinlens, photos / "coffee.png", "--for", "texts")
    assert texts[0]["text"] == "A cup of coffee."
    texts = found(twinlens, "a space ship", "--for", "texts")
    assert texts[0]["text"] == "A rocket on the launch pad."
    piped = subprocess.run(
        f"set -o pipefail; '{command()}' search 'a cat' -f | head -n 1",
        shell=True, executable="/bin/bash", capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout == f"{photos / 'chelsea.png'}\n"


def test_index_again_remove_and_break(twinlens: Twinlens, photos: Path) -> None:
    assert twinlens("index", photos).stdout.startswith("5 photos added, 4 texts added")
    assert twinlens("index", photos).stdout.startswith("6 unchanged")
    (photos / "coffee.png").unlink()
    (photos / "broken.jpg").write_bytes(b"no photo")
    third = twinlens("index", photos)
    assert third.returncode == 3
    assert f"skipping {photos / 'broken.jpg'}: " in third.stderr
    assert "1 removed" in third.stdout
    paths = twinlens("search", "coffee", "-f", "-t", 99).stdout.splitlines()
    assert sorted(paths) == sorted(str(photos / name) for name in NAMES if name != "coffee.png")
    info = json.loads(twinlens("info", "--json").stdout)
    assert (info["photos"], info["texts"], info["skipped"]) == (4, 4, 1)
    assert info["model"] == "builtin"


def test_errors_have_codes_and_leave_stdout_empty(twinlens: Twinlens, tmp_path: Path) -> None:
    for args, code in (
        (("search", "a cat"), 10),
        (("index", "nowhere"), 2),
        (("search",), 2),
    ):
        done = twinlens(*args)
        assert (done.returncode, done.stdout) == (code, ""), args
        assert done.stderr.startswith("twinlens: ")
        assert done.stderr.count("\n") == 1


def test_an_empty_library_has_nothing(twinlens: Twinlens, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert twinlens("index", tmp_path / "empty").returncode == 0
    done = twinlens("search", "a cat")
    assert (done.returncode, done.stdout) == (4, "")
    assert "twinlens index" in done.stderr


def test_killed_half_way_then_run_again(
    twinlens: Twinlens, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):  # the first commit comes after 256
        Image.new("RGB", (64, 48), (number % 256, number // 2, 90)).save(folder / f"{number}.png")
    running = subprocess.Popen(
        [command(), "index", folder], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    segments = tmp_path / "library" / "vectors"
    deadline = time.monotonic() + 60
    while not list(segments.glob("*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    again = twinlens("index", folder)
    assert again.returncode == 0, again.stderr
    paths = twinlens("search", "a colour", "-f", "-t", 0, "--threshold", 0).stdout.splitlines()
    assert Counter(paths) == Counter(str(path) for path in folder.iterdir())


def test_evaluate(twinlens: Twinlens, photos: Path, tmp_path: Path) -> None:
    captions = {
        "chelsea.png": ["a cat", "a tabby cat looks up"],
        "coffee.png": ["a cup of coffee"],
        "motorcycle_left.png": ["a red motorcycle"],
    }
    rows = [{"image": name, "captions": texts} for name, texts in captions.items()]
    data = photos / "pairs.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    plain = json.loads(twinlens("evaluate", "--data", data, "--json").stdout)
    assert (plain["model"], plain["images"], plain["captions"]) == ("builtin", 3, 4)
    assert plain["text_to_image"]["R@1"] == 100.0
    assert plain["image_to_text"]["R@1"] == 100.0
    assert plain["text_to_image"]["median_rank"] == 1.0
